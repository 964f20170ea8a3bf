-- A ledger as the second version made it, purchases in every state, and some that a person decided
-- about. It never changes: what is opened here is what lies on people's disks.
PRAGMA application_id=1398032179;
PRAGMA user_version=2;
BEGIN TRANSACTION;
CREATE TABLE counters (
  scope TEXT NOT NULL PRIMARY KEY,
  committed_microusd INTEGER NOT NULL CHECK (committed_microusd >= 0)
) STRICT, WITHOUT ROWID
;
INSERT INTO "counters" VALUES('day:openai:2026-11-24',39000);
INSERT INTO "counters" VALUES('day:openrouter:2026-11-24',489000);
INSERT INTO "counters" VALUES('run:run-0',119000);
INSERT INTO "counters" VALUES('run:run-1',409000);
INSERT INTO "counters" VALUES('total',528000);
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
INSERT INTO "events" VALUES(2,2,'changed',NULL,'SENDING','2026-11-24T09:30:00.123456+00:00','');
INSERT INTO "events" VALUES(3,3,'changed',NULL,'SENDING','2026-11-24T09:30:00.123456+00:00','');
INSERT INTO "events" VALUES(4,3,'changed','SENDING','UNKNOWN','2026-11-24T09:30:00.123456+00:00','the connection was lost');
INSERT INTO "events" VALUES(5,4,'changed',NULL,'SENDING','2026-11-24T09:30:00.123456+00:00','');
INSERT INTO "events" VALUES(6,4,'changed','SENDING','PAID','2026-11-24T09:30:00.123456+00:00','');
INSERT INTO "events" VALUES(7,5,'changed',NULL,'SENDING','2026-11-24T09:30:00.123456+00:00','');
INSERT INTO "events" VALUES(8,5,'changed','SENDING','PAID_BAD','2026-11-24T09:30:00.123456+00:00','the picture is cut off');
INSERT INTO "events" VALUES(9,6,'changed',NULL,'SENDING','2026-11-24T09:30:00.123456+00:00','');
INSERT INTO "events" VALUES(10,6,'changed','SENDING','REFUSED','2026-11-24T09:30:00.123456+00:00','content policy');
INSERT INTO "events" VALUES(11,7,'changed',NULL,'SENDING','2026-11-24T09:30:00.123456+00:00','');
INSERT INTO "events" VALUES(12,7,'changed','SENDING','VOID','2026-11-24T09:30:00.123456+00:00','the name does not resolve');
INSERT INTO "events" VALUES(13,8,'changed',NULL,'SENDING','2026-11-24T09:30:00.123456+00:00','');
INSERT INTO "events" VALUES(14,8,'changed','SENDING','UNKNOWN','2026-11-24T09:30:00.123456+00:00','the connection was lost');
INSERT INTO "events" VALUES(15,8,'changed','UNKNOWN','WROTE_OFF','2026-11-24T09:30:00.123456+00:00','sent again');
INSERT INTO "events" VALUES(16,9,'changed',NULL,'SENDING','2026-11-24T09:30:00.123456+00:00','');
INSERT INTO "events" VALUES(17,9,'changed','SENDING','UNKNOWN','2026-11-24T09:30:00.123456+00:00','the connection was lost');
INSERT INTO "events" VALUES(18,9,'changed','UNKNOWN','WROTE_OFF','2026-11-24T09:30:00.123456+00:00','written off');
INSERT INTO "events" VALUES(19,10,'changed',NULL,'SENDING','2026-11-24T09:30:00.123456+00:00','');
INSERT INTO "events" VALUES(20,10,'changed','SENDING','UNKNOWN','2026-11-24T09:30:00.123456+00:00','the connection was lost');
INSERT INTO "events" VALUES(21,10,'changed','UNKNOWN','PAID_BAD','2026-11-24T09:30:00.123456+00:00','found billed');
INSERT INTO "events" VALUES(22,11,'changed',NULL,'SENDING','2026-11-24T09:30:00.123456+00:00','');
INSERT INTO "events" VALUES(23,11,'changed','SENDING','UNKNOWN','2026-11-24T09:30:00.123456+00:00','the connection was lost');
INSERT INTO "events" VALUES(24,11,'changed','UNKNOWN','REFUSED','2026-11-24T09:30:00.123456+00:00','found not billed');
INSERT INTO "events" VALUES(25,12,'changed',NULL,'SENDING','2026-11-24T09:30:00.123456+00:00','');
INSERT INTO "events" VALUES(26,12,'changed','SENDING','PAID','2026-11-24T09:30:00.123456+00:00','');
INSERT INTO "events" VALUES(27,12,'changed','PAID','PAID_BAD','2026-11-24T09:30:00.123456+00:00','its picture was lost');
INSERT INTO "events" VALUES(28,13,'changed',NULL,'SENDING','2026-11-24T09:30:00.123456+00:00','');
INSERT INTO "events" VALUES(29,13,'changed','SENDING','UNKNOWN','2026-11-24T09:30:00.123456+00:00','the connection was lost');
INSERT INTO "events" VALUES(30,13,'changed','UNKNOWN','WROTE_OFF','2026-11-24T09:30:00.123456+00:00','sent again');
INSERT INTO "events" VALUES(31,14,'changed',NULL,'SENDING','2026-11-24T09:30:00.123456+00:00','');
INSERT INTO "events" VALUES(32,14,'changed','SENDING','PAID','2026-11-24T09:30:00.123456+00:00','');
INSERT INTO "events" VALUES(33,15,'changed',NULL,'SENDING','2026-11-24T09:30:00.123456+00:00','');
INSERT INTO "events" VALUES(34,15,'changed','SENDING','PAID','2026-11-24T09:30:00.123456+00:00','');
INSERT INTO "events" VALUES(35,16,'changed',NULL,'SENDING','2026-11-24T09:30:00.123456+00:00','');
INSERT INTO "events" VALUES(36,16,'changed','SENDING','PAID','2026-11-24T09:30:00.123456+00:00','');
INSERT INTO "events" VALUES(37,17,'changed',NULL,'SENDING','2026-11-24T09:30:00.123456+00:00','');
INSERT INTO "events" VALUES(38,17,'changed','SENDING','PAID','2026-11-24T09:30:00.123456+00:00','');
INSERT INTO "events" VALUES(39,18,'changed',NULL,'SENDING','2026-11-24T09:30:00.123456+00:00','');
INSERT INTO "events" VALUES(40,18,'changed','SENDING','PAID','2026-11-24T09:30:00.123456+00:00','');
INSERT INTO "events" VALUES(41,18,'overrun','SENDING','PAID','2026-11-24T09:30:00.123456+00:00','billed 41000 micro-USD, held 40000');
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
INSERT INTO "purchases" VALUES(1,'00000000000000000000000000000001','fb2f3c46a2a0f3655a9284fe9e97475d2ee4a9e4d39aed1edc8ee4c4d81e3da6','scene 0','run-0','openrouter','images',NULL,'painter-1','1024x1024','medium',0,40000,'2026-11-24','2026-11-24T09:30:00.123456+00:00','RESERVED','2026-11-24T09:30:00.123456+00:00',NULL,NULL,'',NULL,NULL,NULL,NULL);
INSERT INTO "purchases" VALUES(2,'00000000000000000000000000000002','95085fa123c61fb663e5fd10eba71078e9c2dd5b10d5c3a8daea6cdab21bd9b4','scene 1','run-1','openrouter','images',NULL,'painter-1','1024x1024','medium',0,40000,'2026-11-24','2026-11-24T09:30:00.123456+00:00','SENDING','2026-11-24T09:30:00.123456+00:00',NULL,NULL,'',NULL,NULL,NULL,NULL);
INSERT INTO "purchases" VALUES(3,'00000000000000000000000000000003','30821463f77fc6ada50a14901a0fd66b529f4ef29a7463186150858f72a4a10c','scene 2','run-0','openrouter','images',NULL,'painter-1','1024x1024','medium',0,40000,'2026-11-24','2026-11-24T09:30:00.123456+00:00','UNKNOWN','2026-11-24T09:30:00.123456+00:00',NULL,NULL,'the connection was lost',NULL,NULL,NULL,NULL);
INSERT INTO "purchases" VALUES(4,'00000000000000000000000000000004','f204ba4e9904654fb8ec04af34992d2c53966370088d8c2719f7b95fffe6b0f4','scene 3','run-1','openrouter','images',NULL,'painter-1','1024x1024','medium',0,40000,'2026-11-24','2026-11-24T09:30:00.123456+00:00','PAID','2026-11-24T09:30:00.123456+00:00',39000,'reported','','92b2fa58028958317e408bd84ecfa70f5ee35b121991dbc232c49d166353708b','{"media_type":"image/png","width_px":1024,"height_px":1024,"size_bytes":1234567}',12.5,NULL);
INSERT INTO "purchases" VALUES(5,'00000000000000000000000000000005','72b7e8961f16c7da8d76a2ee7a1aec8d0e8877e786c5820466e2abfe1c845695','scene 4','run-0','openrouter','images',NULL,'painter-1','1024x1024','medium',0,40000,'2026-11-24','2026-11-24T09:30:00.123456+00:00','PAID_BAD','2026-11-24T09:30:00.123456+00:00',39000,'reported','the picture is cut off',NULL,NULL,NULL,NULL);
INSERT INTO "purchases" VALUES(6,'00000000000000000000000000000006','a83b2e20a6bbd826532bc1049e05ca34a3f0ad09166516d1b204f6e0d156243b','scene 5','run-1','openrouter','images',NULL,'painter-1','1024x1024','medium',0,40000,'2026-11-24','2026-11-24T09:30:00.123456+00:00','REFUSED','2026-11-24T09:30:00.123456+00:00',0,'free','content policy',NULL,NULL,NULL,NULL);
INSERT INTO "purchases" VALUES(7,'00000000000000000000000000000007','03d1cc48e304f13bf6eabc195bcff649baef9793b8d7204f244334ca2daff6ab','scene 6','run-0','openrouter','images',NULL,'painter-1','1024x1024','medium',0,40000,'2026-11-24','2026-11-24T09:30:00.123456+00:00','VOID','2026-11-24T09:30:00.123456+00:00',0,'free','the name does not resolve',NULL,NULL,NULL,NULL);
INSERT INTO "purchases" VALUES(8,'00000000000000000000000000000008','5625c9df76429eaf42c7805939c5d7279b82111024867b2d372f156cac684044','scene 7','run-1','openrouter','images',NULL,'painter-1','1024x1024','medium',0,40000,'2026-11-24','2026-11-24T09:30:00.123456+00:00','WROTE_OFF','2026-11-24T09:30:00.123456+00:00',NULL,'unknown','sent again',NULL,NULL,NULL,'policy');
INSERT INTO "purchases" VALUES(9,'00000000000000000000000000000009','ff23e22d8c1a74ce5cca6da9520bf4107144c235410d4cde1c9de5faec260299','by hand 0','run-1','openrouter','images',NULL,'painter-1','1024x1024','medium',0,40000,'2026-11-24','2026-11-24T09:30:00.123456+00:00','WROTE_OFF','2026-11-24T09:30:00.123456+00:00',NULL,'unknown','written off',NULL,NULL,NULL,'user');
INSERT INTO "purchases" VALUES(10,'0000000000000000000000000000000a','40ea8fa2bfccd554a2401c49d3ced7226b614fddd332f902948c0638dee05507','by hand 1','run-1','openrouter','images',NULL,'painter-1','1024x1024','medium',0,40000,'2026-11-24','2026-11-24T09:30:00.123456+00:00','PAID_BAD','2026-11-24T09:30:00.123456+00:00',12000,'reported','found billed',NULL,NULL,NULL,'user');
INSERT INTO "purchases" VALUES(11,'0000000000000000000000000000000b','ebcf79157044eb7bb1151d7eed7ce7e31d1d76704f4757b011b1e634603b1d21','by hand 2','run-1','openrouter','images',NULL,'painter-1','1024x1024','medium',0,40000,'2026-11-24','2026-11-24T09:30:00.123456+00:00','REFUSED','2026-11-24T09:30:00.123456+00:00',0,'free','found not billed',NULL,NULL,NULL,'user');
INSERT INTO "purchases" VALUES(12,'0000000000000000000000000000000c','bfdfa9f003818529876a58ae79068efc9cb9c86412945e40f89ef50f1a8cd65b','by hand 3','run-1','openrouter','images',NULL,'painter-1','1024x1024','medium',0,40000,'2026-11-24','2026-11-24T09:30:00.123456+00:00','PAID_BAD','2026-11-24T09:30:00.123456+00:00',39000,'reported','its picture was lost',NULL,NULL,NULL,'user');
INSERT INTO "purchases" VALUES(13,'0000000000000000000000000000000d','b4c9e14061c2fd453b36700e3b0da008db2189c711ac629f0f583089164e267d','again','run-1','openrouter','images',NULL,'painter-1','1024x1024','medium',0,40000,'2026-11-24','2026-11-24T09:30:00.123456+00:00','WROTE_OFF','2026-11-24T09:30:00.123456+00:00',NULL,'unknown','sent again',NULL,NULL,NULL,'policy');
INSERT INTO "purchases" VALUES(14,'0000000000000000000000000000000e','b4c9e14061c2fd453b36700e3b0da008db2189c711ac629f0f583089164e267d','again','run-1','openrouter','images',NULL,'painter-1','1024x1024','medium',0,40000,'2026-11-24','2026-11-24T09:30:00.123456+00:00','PAID','2026-11-24T09:30:00.123456+00:00',39000,'reported','','92b2fa58028958317e408bd84ecfa70f5ee35b121991dbc232c49d166353708b','{"media_type":"image/png","width_px":1024,"height_px":1024,"size_bytes":1234567}',12.5,NULL);
INSERT INTO "purchases" VALUES(15,'0000000000000000000000000000000f','7b1b763ee8f62eb88e4742a760f912d0b19bcd58b2b948999784bacc15a7f4d7','elsewhere','run-1','openai','images','http://localhost:8080/v1','painter-1','1024x1024','medium',0,40000,'2026-11-24','2026-11-24T09:30:00.123456+00:00','PAID','2026-11-24T09:30:00.123456+00:00',39000,'reported','','92b2fa58028958317e408bd84ecfa70f5ee35b121991dbc232c49d166353708b','{"media_type":"image/png","width_px":1024,"height_px":1024,"size_bytes":1234567}',12.5,NULL);
INSERT INTO "purchases" VALUES(16,'00000000000000000000000000000010','d05144e2f67105ef77b9740f01ebc30768ac2bcfb207b348ef6d831dfa21eab1','cost unknown','run-1','openrouter','images',NULL,'painter-1','1024x1024','medium',0,40000,'2026-11-24','2026-11-24T09:30:00.123456+00:00','PAID','2026-11-24T09:30:00.123456+00:00',NULL,'unknown','','92b2fa58028958317e408bd84ecfa70f5ee35b121991dbc232c49d166353708b','{"media_type":"image/png","width_px":1024,"height_px":1024,"size_bytes":1234567}',12.5,NULL);
INSERT INTO "purchases" VALUES(17,'00000000000000000000000000000011','d66e663196952b17fd7b985322e02c2db7fde403cecc6f98c4a07f4c150b16a5','drawn here','run-1','previz','images',NULL,'','1024x1024','medium',1,0,'2026-11-24','2026-11-24T09:30:00.123456+00:00','PAID','2026-11-24T09:30:00.123456+00:00',0,'free','','8b6df8c11847ada8266bad5b8737f94c208c411a3ebe18e27aad31bfb7eb8767','{"media_type":"image/png","width_px":1024,"height_px":1024,"size_bytes":1234567}',0.1,NULL);
INSERT INTO "purchases" VALUES(18,'00000000000000000000000000000012','124d60580dfa9072dbea270f1470a9be88a3152d1c6c6485eb0f9e1dc9345352','雨','run-1','openrouter','images',NULL,'painter-1','1024x1024','medium',0,40000,'2026-11-24','2026-11-24T09:30:00.123456+00:00','PAID','2026-11-24T09:30:00.123456+00:00',41000,'tokens','','92b2fa58028958317e408bd84ecfa70f5ee35b121991dbc232c49d166353708b','{"media_type":"image/png","width_px":1024,"height_px":1024,"size_bytes":1234567,"image_url":"https://pictures.example/1.png","details":{"revised_prompt":"Rain."},"dropped":["seed"]}',12.5,NULL);
CREATE UNIQUE INDEX one_live ON purchases (scene_key) WHERE state IN ('PAID', 'RESERVED', 'SENDING', 'UNKNOWN');
CREATE INDEX in_work ON purchases (run_id) WHERE state IN ('RESERVED', 'SENDING');
CREATE INDEX written_off ON purchases (scene_key) WHERE state = 'WROTE_OFF';
CREATE INDEX billed ON purchases (provider, model, size, quality, cost_microusd) WHERE basis IN ('reported', 'tokens')
;
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
CREATE TRIGGER a_purchase_begins_in_work BEFORE INSERT ON purchases
WHEN NOT NEW.state IN ('RESERVED', 'SENDING')
BEGIN SELECT RAISE(ABORT, 'a new purchase is in work'); END;
COMMIT;
