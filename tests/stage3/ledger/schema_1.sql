-- A ledger as the first version made it, one purchase in every state. It never changes: what is
-- opened here is what lies on people's disks.
PRAGMA application_id=1398032179;
PRAGMA user_version=1;
BEGIN TRANSACTION;
CREATE TABLE counters (
  scope TEXT NOT NULL PRIMARY KEY,
  committed_microusd INTEGER NOT NULL CHECK (committed_microusd >= 0)
) STRICT, WITHOUT ROWID
;
INSERT INTO "counters" VALUES('day:openrouter:2026-11-24',279000);
INSERT INTO "counters" VALUES('run:run-0',119000);
INSERT INTO "counters" VALUES('run:run-1',160000);
INSERT INTO "counters" VALUES('total',279000);
CREATE TABLE events (
  seq INTEGER PRIMARY KEY,
  purchase INTEGER NOT NULL REFERENCES purchases (seq),
  event TEXT NOT NULL CHECK (event IN ('changed', 'overrun')),
  old TEXT,
  new TEXT NOT NULL,
  at TEXT NOT NULL,
  why TEXT NOT NULL
) STRICT
;
INSERT INTO "events" VALUES(1,1,'changed',NULL,'RESERVED','2026-11-24T09:30:00.123456+00:00','');
INSERT INTO "events" VALUES(2,2,'changed',NULL,'RESERVED','2026-11-24T09:30:00.123456+00:00','');
INSERT INTO "events" VALUES(3,2,'changed','RESERVED','SENDING','2026-11-24T09:30:00.123456+00:00','');
INSERT INTO "events" VALUES(4,3,'changed',NULL,'RESERVED','2026-11-24T09:30:00.123456+00:00','');
INSERT INTO "events" VALUES(5,3,'changed','RESERVED','SENDING','2026-11-24T09:30:00.123456+00:00','');
INSERT INTO "events" VALUES(6,3,'changed','SENDING','UNKNOWN','2026-11-24T09:30:00.123456+00:00','the connection was lost');
INSERT INTO "events" VALUES(7,4,'changed',NULL,'RESERVED','2026-11-24T09:30:00.123456+00:00','');
INSERT INTO "events" VALUES(8,4,'changed','RESERVED','SENDING','2026-11-24T09:30:00.123456+00:00','');
INSERT INTO "events" VALUES(9,4,'changed','SENDING','PAID','2026-11-24T09:30:00.123456+00:00','');
INSERT INTO "events" VALUES(10,5,'changed',NULL,'RESERVED','2026-11-24T09:30:00.123456+00:00','');
INSERT INTO "events" VALUES(11,5,'changed','RESERVED','SENDING','2026-11-24T09:30:00.123456+00:00','');
INSERT INTO "events" VALUES(12,5,'changed','SENDING','PAID_BAD','2026-11-24T09:30:00.123456+00:00','the picture is cut off');
INSERT INTO "events" VALUES(13,6,'changed',NULL,'RESERVED','2026-11-24T09:30:00.123456+00:00','');
INSERT INTO "events" VALUES(14,6,'changed','RESERVED','SENDING','2026-11-24T09:30:00.123456+00:00','');
INSERT INTO "events" VALUES(15,6,'changed','SENDING','REFUSED','2026-11-24T09:30:00.123456+00:00','content policy');
INSERT INTO "events" VALUES(16,7,'changed',NULL,'RESERVED','2026-11-24T09:30:00.123456+00:00','');
INSERT INTO "events" VALUES(17,7,'changed','RESERVED','SENDING','2026-11-24T09:30:00.123456+00:00','');
INSERT INTO "events" VALUES(18,7,'changed','SENDING','VOID','2026-11-24T09:30:00.123456+00:00','the name does not resolve');
INSERT INTO "events" VALUES(19,8,'changed',NULL,'RESERVED','2026-11-24T09:30:00.123456+00:00','');
INSERT INTO "events" VALUES(20,8,'changed','RESERVED','SENDING','2026-11-24T09:30:00.123456+00:00','');
INSERT INTO "events" VALUES(21,8,'changed','SENDING','UNKNOWN','2026-11-24T09:30:00.123456+00:00','the connection was lost');
INSERT INTO "events" VALUES(22,8,'changed','UNKNOWN','WROTE_OFF','2026-11-24T09:30:00.123456+00:00','sent again');
INSERT INTO "events" VALUES(23,9,'changed',NULL,'RESERVED','2026-11-24T09:30:00.123456+00:00','');
INSERT INTO "events" VALUES(24,9,'changed','RESERVED','SENDING','2026-11-24T09:30:00.123456+00:00','');
INSERT INTO "events" VALUES(25,9,'changed','SENDING','PAID','2026-11-24T09:30:00.123456+00:00','');
INSERT INTO "events" VALUES(26,9,'overrun','SENDING','PAID','2026-11-24T09:30:00.123456+00:00','billed 41000 micro-USD, held 40000');
CREATE TABLE meta (name TEXT NOT NULL PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
INSERT INTO "meta" VALUES('last_day','2026-11-24');
INSERT INTO "meta" VALUES('zone','Europe/Berlin');
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
  state TEXT NOT NULL CHECK (state IN ('PAID', 'PAID_BAD', 'REFUSED', 'RESERVED', 'SENDING', 'UNKNOWN', 'VOID', 'WROTE_OFF')),
  changed_at TEXT NOT NULL,
  cost_microusd INTEGER CHECK (cost_microusd >= 0),
  basis TEXT CHECK (basis IN ('flat', 'free', 'held', 'reported', 'tokens', 'unknown')),
  why TEXT NOT NULL,
  sha256 TEXT CHECK (length(sha256) = 64 AND sha256 NOT GLOB '*[^0-9a-f]*'),
  facts TEXT,
  took_s REAL,
  decided_by TEXT CHECK (decided_by IN ('policy', 'user')),
  CHECK ((state = 'PAID') = (sha256 IS NOT NULL)),
  CHECK (NOT state IN ('RESERVED', 'SENDING', 'UNKNOWN') OR (cost_microusd IS NULL AND basis IS NULL)),
  CHECK (state IN ('RESERVED', 'SENDING', 'UNKNOWN') OR basis IS NOT NULL),
  CHECK (NOT state IN ('REFUSED', 'VOID') OR cost_microusd IS 0),
  CHECK (state <> 'WROTE_OFF' OR decided_by IS NOT NULL)
) STRICT
;
INSERT INTO "purchases" VALUES(1,'00000000000000000000000000000000','fb2f3c46a2a0f3655a9284fe9e97475d2ee4a9e4d39aed1edc8ee4c4d81e3da6','scene 0','run-0','openrouter','images',NULL,'painter-1','1024x1024','medium',0,40000,'2026-11-24','2026-11-24T09:30:00.123456+00:00','RESERVED','2026-11-24T09:30:00.123456+00:00',NULL,NULL,'',NULL,NULL,NULL,NULL);
INSERT INTO "purchases" VALUES(2,'00000000000000000000000000000001','95085fa123c61fb663e5fd10eba71078e9c2dd5b10d5c3a8daea6cdab21bd9b4','scene 1','run-1','openrouter','images',NULL,'painter-1','1024x1024','medium',0,40000,'2026-11-24','2026-11-24T09:30:00.123456+00:00','SENDING','2026-11-24T09:30:00.123456+00:00',NULL,NULL,'',NULL,NULL,NULL,NULL);
INSERT INTO "purchases" VALUES(3,'00000000000000000000000000000002','30821463f77fc6ada50a14901a0fd66b529f4ef29a7463186150858f72a4a10c','scene 2','run-0','openrouter','images',NULL,'painter-1','1024x1024','medium',0,40000,'2026-11-24','2026-11-24T09:30:00.123456+00:00','UNKNOWN','2026-11-24T09:30:00.123456+00:00',NULL,NULL,'the connection was lost',NULL,NULL,NULL,NULL);
INSERT INTO "purchases" VALUES(4,'00000000000000000000000000000003','f204ba4e9904654fb8ec04af34992d2c53966370088d8c2719f7b95fffe6b0f4','scene 3','run-1','openrouter','images',NULL,'painter-1','1024x1024','medium',0,40000,'2026-11-24','2026-11-24T09:30:00.123456+00:00','PAID','2026-11-24T09:30:00.123456+00:00',39000,'reported','','92b2fa58028958317e408bd84ecfa70f5ee35b121991dbc232c49d166353708b','{"media_type":"image/png","width_px":1024,"height_px":1024,"size_bytes":1234567}',12.5,NULL);
INSERT INTO "purchases" VALUES(5,'00000000000000000000000000000004','72b7e8961f16c7da8d76a2ee7a1aec8d0e8877e786c5820466e2abfe1c845695','scene 4','run-0','openrouter','images',NULL,'painter-1','1024x1024','medium',0,40000,'2026-11-24','2026-11-24T09:30:00.123456+00:00','PAID_BAD','2026-11-24T09:30:00.123456+00:00',39000,'reported','the picture is cut off',NULL,NULL,NULL,NULL);
INSERT INTO "purchases" VALUES(6,'00000000000000000000000000000005','a83b2e20a6bbd826532bc1049e05ca34a3f0ad09166516d1b204f6e0d156243b','scene 5','run-1','openrouter','images',NULL,'painter-1','1024x1024','medium',0,40000,'2026-11-24','2026-11-24T09:30:00.123456+00:00','REFUSED','2026-11-24T09:30:00.123456+00:00',0,'free','content policy',NULL,NULL,NULL,NULL);
INSERT INTO "purchases" VALUES(7,'00000000000000000000000000000006','03d1cc48e304f13bf6eabc195bcff649baef9793b8d7204f244334ca2daff6ab','scene 6','run-0','openrouter','images',NULL,'painter-1','1024x1024','medium',0,40000,'2026-11-24','2026-11-24T09:30:00.123456+00:00','VOID','2026-11-24T09:30:00.123456+00:00',0,'free','the name does not resolve',NULL,NULL,NULL,NULL);
INSERT INTO "purchases" VALUES(8,'00000000000000000000000000000007','5625c9df76429eaf42c7805939c5d7279b82111024867b2d372f156cac684044','scene 7','run-1','openrouter','images',NULL,'painter-1','1024x1024','medium',0,40000,'2026-11-24','2026-11-24T09:30:00.123456+00:00','WROTE_OFF','2026-11-24T09:30:00.123456+00:00',NULL,'unknown','sent again',NULL,NULL,NULL,'policy');
INSERT INTO "purchases" VALUES(9,'ffffffffffffffffffffffffffffffff','124d60580dfa9072dbea270f1470a9be88a3152d1c6c6485eb0f9e1dc9345352','雨','run-1','openrouter','images',NULL,'painter-1','1024x1024','medium',0,40000,'2026-11-24','2026-11-24T09:30:00.123456+00:00','PAID','2026-11-24T09:30:00.123456+00:00',41000,'tokens','','319b44c570a417ff3444896cd4aa77f052b6781773fc2f9aa1f1180ac745005c','{"media_type":"image/png","width_px":1024,"height_px":1024,"size_bytes":1234567,"image_url":"https://pictures.example/1.png","details":{"revised_prompt":"Rain."},"dropped":["seed"]}',9.25,NULL);
CREATE UNIQUE INDEX one_live ON purchases (scene_key) WHERE state IN ('PAID', 'RESERVED', 'SENDING', 'UNKNOWN');
CREATE INDEX in_work ON purchases (run_id) WHERE state IN ('RESERVED', 'SENDING');
CREATE INDEX written_off ON purchases (scene_key) WHERE state = 'WROTE_OFF';
CREATE INDEX billed ON purchases (provider, model, size, quality, cost_microusd) WHERE basis IN ('reported', 'tokens')
;
CREATE TRIGGER a_purchase_begins_reserved BEFORE INSERT ON purchases
WHEN NEW.state <> 'RESERVED'
BEGIN SELECT RAISE(ABORT, 'a new purchase is RESERVED'); END;
CREATE TRIGGER a_purchase_is_not_replaced BEFORE INSERT ON purchases
WHEN EXISTS (SELECT 1 FROM purchases WHERE attempt_id = NEW.attempt_id)
  OR EXISTS (SELECT 1 FROM purchases WHERE seq = NEW.seq)
  OR EXISTS (SELECT 1 FROM purchases WHERE scene_key = NEW.scene_key AND state IN ('PAID', 'RESERVED', 'SENDING', 'UNKNOWN'))
BEGIN SELECT RAISE(ABORT, 'this purchase, or a live one of this scene, is there already'); END;
CREATE TRIGGER a_purchase_goes_a_legal_way BEFORE UPDATE ON purchases
WHEN NOT ((OLD.state = 'RESERVED' AND NEW.state IN ('SENDING', 'VOID')) OR (OLD.state = 'SENDING' AND NEW.state IN ('PAID', 'PAID_BAD', 'REFUSED', 'UNKNOWN', 'VOID')) OR (OLD.state = 'UNKNOWN' AND NEW.state IN ('PAID', 'PAID_BAD', 'REFUSED', 'WROTE_OFF')) OR (OLD.state = 'PAID' AND NEW.state IN ('PAID_BAD'))) OR NEW.seq <> OLD.seq
BEGIN SELECT RAISE(ABORT, 'a purchase cannot go this way'); END;
CREATE TRIGGER an_agreement_is_frozen BEFORE UPDATE OF seq, attempt_id, scene_key, scene_id, run_id, provider, api, base_url, model, size, quality, is_local, hold_microusd, day, held_at ON purchases
BEGIN SELECT RAISE(ABORT, 'what a purchase began as never changes'); END;
CREATE TRIGGER a_purchase_stays BEFORE DELETE ON purchases
BEGIN SELECT RAISE(ABORT, 'a purchase is never deleted'); END;
CREATE TRIGGER a_beginning_is_written_down AFTER INSERT ON purchases
BEGIN
  INSERT INTO events (purchase, event, old, new, at, why)
  VALUES (NEW.seq, 'changed', NULL, NEW.state, NEW.changed_at, NEW.why);
END;
CREATE TRIGGER a_change_is_written_down AFTER UPDATE ON purchases
BEGIN
  INSERT INTO events (purchase, event, old, new, at, why)
  VALUES (NEW.seq, 'changed', OLD.state, NEW.state, NEW.changed_at, NEW.why);
END;
CREATE TRIGGER an_event_is_not_replaced BEFORE INSERT ON events
WHEN EXISTS (SELECT 1 FROM events WHERE seq = NEW.seq)
BEGIN SELECT RAISE(ABORT, 'an event is never replaced'); END;
CREATE TRIGGER an_event_is_not_changed BEFORE UPDATE ON events
BEGIN SELECT RAISE(ABORT, 'an event is never changed'); END;
CREATE TRIGGER an_event_stays BEFORE DELETE ON events
BEGIN SELECT RAISE(ABORT, 'an event is never deleted'); END;
CREATE TRIGGER a_counter_stays BEFORE DELETE ON counters
BEGIN SELECT RAISE(ABORT, 'a counter is never deleted'); END;
CREATE TRIGGER a_day_does_not_come_back BEFORE UPDATE ON meta
WHEN OLD.name = 'last_day' AND (NEW.name <> OLD.name OR NEW.value < OLD.value)
BEGIN SELECT RAISE(ABORT, 'the last day only moves forward'); END;
CREATE TRIGGER what_is_known_stays BEFORE DELETE ON meta
BEGIN SELECT RAISE(ABORT, 'what the ledger knows of itself is never deleted'); END;
COMMIT;
