-- A ledger's tables and rules, as they are made.
CREATE TABLE jobs (
  seq INTEGER PRIMARY KEY,
  token TEXT UNIQUE CHECK (length(token) = 32 AND token NOT GLOB '*[^0-9a-f]*'),
  provider TEXT NOT NULL,
  account TEXT NOT NULL,
  endpoint TEXT NOT NULL,
  lane TEXT NOT NULL CHECK (lane IN ('batch', 'one')),
  input_file TEXT,
  opened_at TEXT NOT NULL,
  job_id TEXT,
  poll_url TEXT,
  result_url TEXT,
  cancel_url TEXT,
  accepted_at TEXT,
  expires_at TEXT,
  cost_microusd INTEGER CHECK (cost_microusd >= 0),
  CHECK (lane = 'one' OR token IS NOT NULL),
  CHECK (
    (job_id IS NULL) = (poll_url IS NULL) AND (job_id IS NULL) = (accepted_at IS NULL)
    AND (job_id IS NULL) = (expires_at IS NULL)
  ),
  CHECK (
    job_id IS NOT NULL
    OR (result_url IS NULL AND cancel_url IS NULL AND cost_microusd IS NULL)
  )
) STRICT
;
CREATE TABLE purchases (
  seq INTEGER PRIMARY KEY,
  attempt_id TEXT NOT NULL UNIQUE CHECK (length(attempt_id) = 32 AND attempt_id NOT GLOB '*[^0-9a-f]*'),
  scene_key TEXT NOT NULL,
  scene_id TEXT NOT NULL,
  run_id TEXT NOT NULL,
  provider TEXT NOT NULL,
  api TEXT NOT NULL,
  base_url TEXT,
  model TEXT NOT NULL,
  size TEXT NOT NULL,
  quality TEXT NOT NULL,
  is_local INTEGER NOT NULL CHECK (is_local IN (0, 1)),
  hold_microusd INTEGER NOT NULL CHECK (hold_microusd >= 0),
  day TEXT NOT NULL CHECK (day GLOB '[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]'),
  held_at TEXT NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('ACCEPTED', 'PAID', 'PAID_BAD', 'REFUSED', 'SENDING', 'UNKNOWN', 'VOID', 'WROTE_OFF')),
  changed_at TEXT NOT NULL,
  cost_microusd INTEGER CHECK (cost_microusd >= 0),
  basis TEXT CHECK (basis IN ('flat', 'free', 'gateway', 'held', 'reported', 'tokens', 'unknown')),
  why TEXT NOT NULL,
  sha256 TEXT CHECK (length(sha256) = 64 AND sha256 NOT GLOB '*[^0-9a-f]*'),
  facts TEXT,
  took_s REAL,
  decided_by TEXT CHECK (decided_by IN ('policy', 'user')),
  content_key TEXT NOT NULL,
  request_id TEXT,
  base_key TEXT,
  subject_key TEXT NOT NULL,
  take INTEGER NOT NULL DEFAULT 1 CHECK (take >= 1),
  job INTEGER REFERENCES jobs (seq),
  line INTEGER CHECK (line >= 0),
  CHECK ((state = 'PAID') = (sha256 IS NOT NULL)),
  CHECK (NOT state IN ('ACCEPTED', 'SENDING', 'UNKNOWN') OR (cost_microusd IS NULL AND basis IS NULL)),
  CHECK (state IN ('ACCEPTED', 'SENDING', 'UNKNOWN') OR basis IS NOT NULL),
  CHECK (NOT state IN ('REFUSED', 'VOID') OR cost_microusd IS 0),
  CHECK (state <> 'WROTE_OFF' OR decided_by IS NOT NULL),
  CHECK (state <> 'ACCEPTED' OR job IS NOT NULL),
  CHECK (line IS NULL OR job IS NOT NULL)
) STRICT
;
CREATE TABLE events (
  seq INTEGER PRIMARY KEY,
  purchase INTEGER REFERENCES purchases (seq),
  event TEXT NOT NULL CHECK (event IN ('asked', 'changed', 'overrun', 'corrected', 'day_set')),
  old TEXT,
  new TEXT NOT NULL,
  at TEXT NOT NULL,
  why TEXT NOT NULL,
  CHECK ((event = 'day_set') = (purchase IS NULL))
) STRICT
;
CREATE TABLE counters (
  scope TEXT NOT NULL PRIMARY KEY,
  committed_microusd INTEGER NOT NULL CHECK (committed_microusd >= 0)
) STRICT, WITHOUT ROWID
;
CREATE TABLE meta (name TEXT NOT NULL PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID
;
CREATE UNIQUE INDEX one_live ON purchases (scene_key) WHERE state IN ('ACCEPTED', 'PAID', 'SENDING', 'UNKNOWN');
CREATE UNIQUE INDEX one_in_a_slot ON purchases (subject_key, take) WHERE state IN ('ACCEPTED', 'PAID', 'SENDING', 'UNKNOWN');
CREATE INDEX of_content ON purchases (content_key) WHERE state = 'PAID';
CREATE INDEX of_base ON purchases (base_key) WHERE base_key IS NOT NULL AND state = 'PAID';
CREATE INDEX in_work ON purchases (run_id) WHERE state = 'SENDING';
CREATE INDEX in_doubt ON purchases (state, provider) WHERE state IN ('ACCEPTED', 'UNKNOWN');
CREATE INDEX given_up ON purchases (subject_key, take) WHERE state IN ('PAID_BAD', 'WROTE_OFF');
CREATE INDEX written_off ON purchases (scene_key) WHERE state = 'WROTE_OFF';
CREATE INDEX paid_for_nothing ON purchases (scene_key) WHERE state = 'PAID_BAD';
CREATE INDEX billed ON purchases (provider, model, size, quality, cost_microusd) WHERE basis IN ('gateway', 'reported', 'tokens')
;
CREATE INDEX of_job ON purchases (job) WHERE job IS NOT NULL;
CREATE UNIQUE INDEX one_line ON purchases (job, line) WHERE line IS NOT NULL;
CREATE UNIQUE INDEX one_job ON jobs (provider, job_id) WHERE job_id IS NOT NULL;
CREATE TRIGGER a_purchase_begins_in_work BEFORE INSERT ON purchases
WHEN NOT NEW.state = 'SENDING'
BEGIN SELECT RAISE(ABORT, 'a new purchase is in work'); END
;
CREATE TRIGGER a_purchase_is_not_replaced BEFORE INSERT ON purchases
WHEN EXISTS (SELECT 1 FROM purchases WHERE attempt_id = NEW.attempt_id)
  OR EXISTS (SELECT 1 FROM purchases WHERE seq = NEW.seq)
  OR EXISTS (SELECT 1 FROM purchases WHERE scene_key = NEW.scene_key AND state IN ('ACCEPTED', 'PAID', 'SENDING', 'UNKNOWN'))
  OR EXISTS (
    SELECT 1 FROM purchases
    WHERE subject_key = NEW.subject_key AND take = NEW.take AND state IN ('ACCEPTED', 'PAID', 'SENDING', 'UNKNOWN')
  )
BEGIN SELECT RAISE(ABORT, 'this purchase, or a live one of this scene, is there already'); END
;
CREATE TRIGGER a_purchase_is_there_before_its_job_is_accepted BEFORE INSERT ON purchases
WHEN NEW.job IS NOT NULL AND NOT EXISTS (
  SELECT 1 FROM jobs WHERE seq = NEW.job AND job_id IS NULL AND provider = NEW.provider
  AND (lane = 'batch') = (NEW.line IS NOT NULL)
  AND (lane = 'batch' OR NOT EXISTS (SELECT 1 FROM purchases WHERE job = NEW.job))
)
BEGIN SELECT RAISE(ABORT, 'no job waits for this purchase'); END
;
CREATE TRIGGER a_purchase_goes_a_legal_way BEFORE UPDATE ON purchases
WHEN NOT ((OLD.state = 'SENDING' AND NEW.state IN ('ACCEPTED', 'PAID', 'PAID_BAD', 'REFUSED', 'UNKNOWN', 'VOID')) OR (OLD.state = 'ACCEPTED' AND NEW.state IN ('PAID', 'PAID_BAD', 'REFUSED', 'UNKNOWN')) OR (OLD.state = 'UNKNOWN' AND NEW.state IN ('ACCEPTED', 'PAID', 'PAID_BAD', 'REFUSED', 'WROTE_OFF')) OR (OLD.state = 'PAID' AND NEW.state IN ('PAID_BAD')) OR (NEW.state = OLD.state AND OLD.state IN ('PAID', 'PAID_BAD')))
  OR NEW.seq <> OLD.seq
BEGIN SELECT RAISE(ABORT, 'a purchase cannot go this way'); END
;
CREATE TRIGGER a_job_is_known_before_it_is_accepted BEFORE UPDATE ON purchases
WHEN NEW.state = 'ACCEPTED'
  AND NOT EXISTS (SELECT 1 FROM jobs WHERE seq = NEW.job AND job_id IS NOT NULL)
BEGIN SELECT RAISE(ABORT, 'nobody knows by which name its job was accepted'); END
;
CREATE TRIGGER a_picture_is_given_up_by_a_person BEFORE UPDATE ON purchases
WHEN OLD.state = 'PAID' AND NEW.state = 'PAID_BAD' AND NEW.decided_by IS NOT 'user'
BEGIN SELECT RAISE(ABORT, 'only a person gives up a picture that was paid for'); END
;
CREATE TRIGGER a_setting_overrides_nobody BEFORE UPDATE ON purchases
WHEN NEW.state = 'WROTE_OFF' AND NEW.decided_by IS 'policy' AND (
  OLD.decided_by IS NOT NULL
  OR EXISTS (SELECT 1 FROM jobs WHERE seq = OLD.job AND job_id IS NOT NULL)
)
BEGIN SELECT RAISE(ABORT, 'only a person writes this purchase off'); END
;
CREATE TRIGGER a_cost_is_corrected_by_a_person BEFORE UPDATE ON purchases
WHEN NEW.state = OLD.state AND OLD.state IN ('PAID', 'PAID_BAD') AND NOT (
  NEW.decided_by IS 'user' AND NEW.cost_microusd IS NOT NULL AND NEW.changed_at IS OLD.changed_at AND NEW.why IS OLD.why AND NEW.sha256 IS OLD.sha256 AND NEW.facts IS OLD.facts AND NEW.took_s IS OLD.took_s AND NEW.request_id IS OLD.request_id
  AND EXISTS (
    SELECT 1 FROM events WHERE seq = (SELECT max(seq) FROM events)
    AND event = 'corrected' AND purchase = OLD.seq
    AND old IS CAST(OLD.cost_microusd AS TEXT) AND new = CAST(NEW.cost_microusd AS TEXT)
  )
)
BEGIN SELECT RAISE(ABORT, 'a cost is only corrected by a person, behind its event'); END
;
CREATE TRIGGER an_agreement_is_frozen BEFORE UPDATE OF seq, attempt_id, scene_key, scene_id, run_id, provider, api, base_url, model, size, quality, is_local, hold_microusd, day, held_at, content_key, base_key, subject_key, take, job, line ON purchases
BEGIN SELECT RAISE(ABORT, 'what a purchase began as never changes'); END
;
CREATE TRIGGER a_purchase_stays BEFORE DELETE ON purchases
BEGIN SELECT RAISE(ABORT, 'a purchase is never deleted'); END
;
CREATE TRIGGER a_beginning_is_written_down AFTER INSERT ON purchases
BEGIN
  INSERT INTO events (purchase, event, old, new, at, why)
  VALUES (NEW.seq, 'changed', NULL, NEW.state, NEW.changed_at, NEW.why);
END
;
CREATE TRIGGER a_change_is_written_down AFTER UPDATE ON purchases
WHEN NEW.state <> OLD.state
BEGIN
  INSERT INTO events (purchase, event, old, new, at, why)
  VALUES (NEW.seq, 'changed', OLD.state, NEW.state, NEW.changed_at, NEW.why);
END
;
CREATE TRIGGER a_job_begins_unaccepted BEFORE INSERT ON jobs
WHEN NEW.job_id IS NOT NULL
BEGIN SELECT RAISE(ABORT, 'a new job has not been accepted'); END
;
CREATE TRIGGER a_job_is_not_replaced BEFORE INSERT ON jobs
WHEN EXISTS (SELECT 1 FROM jobs WHERE seq = NEW.seq OR token = NEW.token)
BEGIN SELECT RAISE(ABORT, 'this job is there already'); END
;
CREATE TRIGGER a_job_is_accepted_once BEFORE UPDATE ON jobs
WHEN OLD.job_id IS NOT NULL OR NEW.job_id IS NULL OR NEW.seq IS NOT OLD.seq OR NEW.token IS NOT OLD.token OR NEW.provider IS NOT OLD.provider OR NEW.account IS NOT OLD.account OR NEW.endpoint IS NOT OLD.endpoint OR NEW.lane IS NOT OLD.lane OR NEW.input_file IS NOT OLD.input_file OR NEW.opened_at IS NOT OLD.opened_at
  OR EXISTS (SELECT 1 FROM jobs WHERE provider = NEW.provider AND job_id = NEW.job_id)
BEGIN SELECT RAISE(ABORT, 'a job is accepted once, and nothing else of it ever changes'); END
;
CREATE TRIGGER a_job_stays BEFORE DELETE ON jobs
BEGIN SELECT RAISE(ABORT, 'a job is never deleted'); END
;
CREATE TRIGGER an_event_is_not_replaced BEFORE INSERT ON events
WHEN EXISTS (SELECT 1 FROM events WHERE seq = NEW.seq)
BEGIN SELECT RAISE(ABORT, 'an event is never replaced'); END
;
CREATE TRIGGER an_event_is_not_changed BEFORE UPDATE ON events
BEGIN SELECT RAISE(ABORT, 'an event is never changed'); END
;
CREATE TRIGGER an_event_stays BEFORE DELETE ON events
BEGIN SELECT RAISE(ABORT, 'an event is never deleted'); END
;
CREATE TRIGGER a_counter_stays BEFORE DELETE ON counters
BEGIN SELECT RAISE(ABORT, 'a counter is never deleted'); END
;
CREATE TRIGGER a_day_does_not_come_back BEFORE UPDATE ON meta
WHEN OLD.name = 'last_day' AND (
  NEW.name <> OLD.name
  OR NEW.value < OLD.value AND NOT EXISTS (
    SELECT 1 FROM events WHERE seq = (SELECT max(seq) FROM events)
    AND event = 'day_set' AND old = OLD.value AND new = NEW.value
  )
)
BEGIN SELECT RAISE(ABORT, 'the last day only moves forward'); END
;
CREATE TRIGGER what_is_known_stays BEFORE DELETE ON meta
BEGIN SELECT RAISE(ABORT, 'what the ledger knows of itself is never deleted'); END
;
PRAGMA application_id=1398032179;
PRAGMA user_version=6;
