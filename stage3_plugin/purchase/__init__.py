"""Money at run time: what may be bought, what is held and settled, what earlier runs left.

The points of a purchase that outlive its process, in their order, and what a crash after each
leaves. Moving one of them moves what a crash may lose: the next point relies on the one before it,
and recovery (``purchase/recovery.py``) begins with what is there.

===================  ==============================================  ============================
What is durable      Done by                                         A crash after it leaves
===================  ==============================================  ============================
the ledger           ``ledger.sqlite:prepare``                       nothing
the owner's lock     ``ledger.owners:Owners._locked``                nothing
the highest cost,    ``ledger.book:Ledger.hold`` with its            a hold to be given back
held: SENDING        commit
the answer's folder  ``storage.pictures:Pictures.new_folder``        the same
a note that it       ``ledger.owners:Claim.note_sent``               a request that counts as
leaves               (outlives the process, not the machine)         sent
the request          ``transport.client:Client.post``                the same
the answer's pieces  ``storage.spool.writing:SpooledAnswer.feed``   the same
the whole answer     ``storage.spool.writing:SpooledAnswer.finish``  a picture to be taken in
the job: ACCEPTED     ``ledger.book:Ledger.accept`` with its          a job to be asked for, by
(at a queue)          commit                                          any run
its last answer       ``storage.spool.polls:keep``                    a picture to be taken in
the picture among    ``storage.store:PictureStore.save``               the same
the objects, synced
the bill: PAID       ``ledger.book:Ledger.settle`` with its          a picture to be published
                     commit
the copy in `out/`   ``storage.placing:PlacedPictures.place``        an answer to be removed
no answer any more   ``storage.spool.folders:SpoolFolders.remove``   nothing to be done
===================  ==============================================  ============================

Of a batch, whose lines are purchases, these are others; what follows is the same for each line.

===================  ==============================================  ============================
What is durable      Done by                                         A crash after it leaves
===================  ==============================================  ============================
whose the batch is   ``storage.spool.batch_files:note_owner``        a folder that goes with its
                                                                     run
its file, uploaded   ``purchase.conversation:Batching.upload``       the same: nothing is held yet
all lines SENDING,   ``purchase.run_ledger:RunLedger.hold``          holds to be given back
its job's row        with its commit
the create's answer  ``purchase.drive:Drive._send``                  a batch to be accepted
all lines ACCEPTED   ``ledger.book:Ledger.accept`` with its          a batch to be asked for, by
                     commit                                          any run
what has ended it    ``storage.spool.polls:keep``                    the same, and it has ended
its results          ``storage.spool.batch_files:keep``              results to be read
a line's folder      ``purchase.result_files:ResultFiles.claim``     a picture to be taken in
all lines it lacks   ``ledger.book:Ledger.settle`` with its          a folder that goes with a
                     commit                                          later run
===================  ==============================================  ============================

The tests in ``tests/killing`` kill a run at each of them.
"""
