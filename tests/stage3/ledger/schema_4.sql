-- A ledger as the fourth version made it, purchases in every state, and some that a person decided
-- about. It never changes: what is opened here is what lies on people's disks.
PRAGMA application_id=1398032179;
PRAGMA user_version=4;
BEGIN TRANSACTION;
CREATE TABLE counters (
  scope TEXT NOT NULL PRIMARY KEY,
  committed_microusd INTEGER NOT NULL CHECK (committed_microusd >= 0)
) STRICT, WITHOUT ROWID
;
INSERT INTO "counters" VALUES('day:openai:2026-11-24',41000);
INSERT INTO "counters" VALUES('day:openrouter:2026-11-24',436000);
INSERT INTO "counters" VALUES('run:run-0',119000);
INSERT INTO "counters" VALUES('run:run-1',358000);
INSERT INTO "counters" VALUES('total',477000);
CREATE TABLE events (
  seq INTEGER PRIMARY KEY,
  purchase INTEGER REFERENCES purchases (seq),
  event TEXT NOT NULL CHECK (event IN ('changed', 'overrun', 'corrected', 'day_set')),
  old TEXT,
  new TEXT NOT NULL,
  at TEXT NOT NULL,
  why TEXT NOT NULL,
  CHECK ((event = 'day_set') = (purchase IS NULL))
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
INSERT INTO "events" VALUES(18,9,'changed','UNKNOWN','WROTE_OFF','2026-11-24T09:30:00.123456+00:00','written off by a person');
INSERT INTO "events" VALUES(19,10,'changed',NULL,'SENDING','2026-11-24T09:30:00.123456+00:00','');
INSERT INTO "events" VALUES(20,10,'changed','SENDING','UNKNOWN','2026-11-24T09:30:00.123456+00:00','the connection was lost');
INSERT INTO "events" VALUES(21,10,'changed','UNKNOWN','PAID_BAD','2026-11-24T09:30:00.123456+00:00','found billed');
INSERT INTO "events" VALUES(22,11,'changed',NULL,'SENDING','2026-11-24T09:30:00.123456+00:00','');
INSERT INTO "events" VALUES(23,11,'changed','SENDING','UNKNOWN','2026-11-24T09:30:00.123456+00:00','the connection was lost');
INSERT INTO "events" VALUES(24,11,'changed','UNKNOWN','REFUSED','2026-11-24T09:30:00.123456+00:00','found unbilled');
INSERT INTO "events" VALUES(25,12,'changed',NULL,'SENDING','2026-11-24T09:30:00.123456+00:00','');
INSERT INTO "events" VALUES(26,12,'changed','SENDING','PAID','2026-11-24T09:30:00.123456+00:00','');
INSERT INTO "events" VALUES(27,12,'changed','PAID','PAID_BAD','2026-11-24T09:30:00.123456+00:00','its picture was lost');
INSERT INTO "events" VALUES(28,13,'changed',NULL,'SENDING','2026-11-24T09:30:00.123456+00:00','');
INSERT INTO "events" VALUES(29,13,'changed','SENDING','PAID','2026-11-24T09:30:00.123456+00:00','');
INSERT INTO "events" VALUES(30,13,'overrun','SENDING','PAID','2026-11-24T09:30:00.123456+00:00','billed 400000 micro-USD, held 40000');
INSERT INTO "events" VALUES(31,13,'corrected','400000','40000','2026-11-24T09:30:00.123456+00:00','a gateway''s mistake');
INSERT INTO "events" VALUES(32,14,'changed',NULL,'SENDING','2026-11-24T09:30:00.123456+00:00','');
INSERT INTO "events" VALUES(33,14,'changed','SENDING','PAID','2026-11-24T09:30:00.123456+00:00','');
INSERT INTO "events" VALUES(34,14,'overrun','SENDING','PAID','2026-11-24T09:30:00.123456+00:00','billed 41000 micro-USD, held 40000');
INSERT INTO "events" VALUES(35,15,'changed',NULL,'SENDING','2026-11-24T09:30:00.123456+00:00','');
INSERT INTO "events" VALUES(36,16,'changed',NULL,'SENDING','2026-11-24T09:30:00.123456+00:00','');
INSERT INTO "events" VALUES(37,16,'changed','SENDING','PAID','2026-11-24T09:30:00.123456+00:00','');
INSERT INTO "events" VALUES(38,NULL,'day_set','2026-11-24','2026-11-20','2026-11-24T09:30:00.123456+00:00','a wrong clock');
CREATE TABLE meta (name TEXT NOT NULL PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
INSERT INTO "meta" VALUES('last_day','2026-11-20');
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
  basis TEXT CHECK (basis IN ('flat', 'free', 'gateway', 'held', 'reported', 'tokens', 'unknown')),
  why TEXT NOT NULL,
  sha256 TEXT CHECK (length(sha256) = 64 AND sha256 NOT GLOB '*[^0-9a-f]*'),
  facts TEXT,
  took_s REAL,
  decided_by TEXT CHECK (decided_by IN ('policy', 'user')),
  content_key TEXT,
  request_id TEXT, key_version INTEGER, base_key TEXT,
  CHECK ((state = 'PAID') = (sha256 IS NOT NULL)),
  CHECK (NOT state IN ('RESERVED', 'SENDING', 'UNKNOWN') OR (cost_microusd IS NULL AND basis IS NULL)),
  CHECK (state IN ('RESERVED', 'SENDING', 'UNKNOWN') OR basis IS NOT NULL),
  CHECK (NOT state IN ('REFUSED', 'VOID') OR cost_microusd IS 0),
  CHECK (state <> 'WROTE_OFF' OR decided_by IS NOT NULL)
) STRICT
;
INSERT INTO "purchases" VALUES(1,'0f498bae4e3094befdd36bcec7a2d90d','fb2f3c46a2a0f3655a9284fe9e97475d2ee4a9e4d39aed1edc8ee4c4d81e3da6','scene 0','run-0','openrouter','images',NULL,'painter-1','1024x1024','medium',0,40000,'2026-11-24','2026-11-24T09:30:00.123456+00:00','RESERVED','2026-11-24T09:30:00.123456+00:00',NULL,NULL,'',NULL,NULL,NULL,NULL,'21c0b5e3d877207902a51d48598318bf59597e99b0f32eddb7db08290eb52d7f',NULL,1,NULL);
INSERT INTO "purchases" VALUES(2,'320684ded6b7f410842250379af2a431','95085fa123c61fb663e5fd10eba71078e9c2dd5b10d5c3a8daea6cdab21bd9b4','scene 1','run-1','openrouter','images',NULL,'painter-1','1024x1024','medium',0,40000,'2026-11-24','2026-11-24T09:30:00.123456+00:00','SENDING','2026-11-24T09:30:00.123456+00:00',NULL,NULL,'',NULL,NULL,NULL,NULL,'efa2306032f704f3f8cee4afbc101d7b204366b4ccc8dbd67a5f1bf1fd86e892',NULL,3,NULL);
INSERT INTO "purchases" VALUES(3,'34ee0b8ef0582c85253f706acd7c4b24','30821463f77fc6ada50a14901a0fd66b529f4ef29a7463186150858f72a4a10c','scene 2','run-0','openrouter','images',NULL,'painter-1','1024x1024','medium',0,40000,'2026-11-24','2026-11-24T09:30:00.123456+00:00','UNKNOWN','2026-11-24T09:30:00.123456+00:00',NULL,NULL,'the connection was lost',NULL,NULL,NULL,NULL,'969a130eca282018c189a4bd749d50f1a29f6891941c53fb7f6eb4b788ffbd24',NULL,3,NULL);
INSERT INTO "purchases" VALUES(4,'34630d43ecc012ea7fd27d3bd91e81ae','f204ba4e9904654fb8ec04af34992d2c53966370088d8c2719f7b95fffe6b0f4','scene 3','run-1','openrouter','images',NULL,'painter-1','1024x1024','medium',0,40000,'2026-11-24','2026-11-24T09:30:00.123456+00:00','PAID','2026-11-24T09:30:00.123456+00:00',39000,'reported','','92b2fa58028958317e408bd84ecfa70f5ee35b121991dbc232c49d166353708b','{"media_type":"image/png","width_px":1024,"height_px":1024,"size_bytes":1234567}',12.5,NULL,'9b01f532c3579587306ad83fee26a867a79c9a45dc37f71520a2ee0ea95a0344',NULL,3,NULL);
INSERT INTO "purchases" VALUES(5,'f9dde6df2a4f1c57ffb1071470a8fa94','72b7e8961f16c7da8d76a2ee7a1aec8d0e8877e786c5820466e2abfe1c845695','scene 4','run-0','openrouter','images',NULL,'painter-1','1024x1024','medium',0,40000,'2026-11-24','2026-11-24T09:30:00.123456+00:00','PAID_BAD','2026-11-24T09:30:00.123456+00:00',39000,'reported','the picture is cut off',NULL,NULL,NULL,NULL,'da684678b392321660f291397245bc197fc8dd081d46a687cda6a6686ccf80bd',NULL,3,NULL);
INSERT INTO "purchases" VALUES(6,'970945becc677ec99c1d785991bd0852','a83b2e20a6bbd826532bc1049e05ca34a3f0ad09166516d1b204f6e0d156243b','scene 5','run-1','openrouter','images',NULL,'painter-1','1024x1024','medium',0,40000,'2026-11-24','2026-11-24T09:30:00.123456+00:00','REFUSED','2026-11-24T09:30:00.123456+00:00',0,'free','content policy',NULL,NULL,NULL,NULL,'623a3a1883dfaf6d8711abbe7a62e92f9c9e65ce454828fcd1797844a4d92ff2',NULL,3,NULL);
INSERT INTO "purchases" VALUES(7,'2d11652a03c4d00319c4f387cfe92648','03d1cc48e304f13bf6eabc195bcff649baef9793b8d7204f244334ca2daff6ab','scene 6','run-0','openrouter','images',NULL,'painter-1','1024x1024','medium',0,40000,'2026-11-24','2026-11-24T09:30:00.123456+00:00','VOID','2026-11-24T09:30:00.123456+00:00',0,'free','the name does not resolve',NULL,NULL,NULL,NULL,'dc544cfde1c40f09c37003010ee4e9ab8679875603143cf808339cbbab256232',NULL,3,NULL);
INSERT INTO "purchases" VALUES(8,'ea2fcff7732f6e6807cad2405acd5505','5625c9df76429eaf42c7805939c5d7279b82111024867b2d372f156cac684044','scene 7','run-1','openrouter','images',NULL,'painter-1','1024x1024','medium',0,40000,'2026-11-24','2026-11-24T09:30:00.123456+00:00','WROTE_OFF','2026-11-24T09:30:00.123456+00:00',NULL,'unknown','sent again',NULL,NULL,NULL,'policy','8c40aead0e57d91ab444d68333bd56bb50154107a65280d38b34aa9a49f49b78',NULL,3,NULL);
INSERT INTO "purchases" VALUES(9,'69478f5e55eeab448e71e15b136e8c7f','c0648d303df1d4f895f337638dc361818cd4084ecffddedd8648434416bab0a2','written off by a person','run-1','openrouter','images',NULL,'painter-1','1024x1024','medium',0,40000,'2026-11-24','2026-11-24T09:30:00.123456+00:00','WROTE_OFF','2026-11-24T09:30:00.123456+00:00',NULL,'held','written off by a person',NULL,NULL,NULL,'user','65012647c2b7a662e009508ae9d74acb15c59029ae154515f94db37cab82e4a6',NULL,3,NULL);
INSERT INTO "purchases" VALUES(10,'8901d4ca61f81d72337a48f0a52b0521','558a746a3ff008cb2a3e00768356a2ecb5c683e9c2be75f8bb53d9cfbfa480ba','found billed','run-1','openrouter','images',NULL,'painter-1','1024x1024','medium',0,40000,'2026-11-24','2026-11-24T09:30:00.123456+00:00','PAID_BAD','2026-11-24T09:30:00.123456+00:00',39000,'reported','found billed',NULL,NULL,NULL,'user','b4f7f3b214238dea859348fcce5315c9f4bace90ec2a0c571bd41e29ccd94239',NULL,3,NULL);
INSERT INTO "purchases" VALUES(11,'57e24cd170e02e4dc3776860fac1c80f','25fc60b6acaa2faef191e502c024909ece80f5871a974ea6b442315ac4c5fe5d','found unbilled','run-1','openrouter','images',NULL,'painter-1','1024x1024','medium',0,40000,'2026-11-24','2026-11-24T09:30:00.123456+00:00','REFUSED','2026-11-24T09:30:00.123456+00:00',0,'free','found unbilled',NULL,NULL,NULL,'user','ce6ac9f6b591fb8a30e76eec62e520894811f3df831cd70aa481deb679b464bc',NULL,3,NULL);
INSERT INTO "purchases" VALUES(12,'f73f832b5b577a937efdc1707dfaafa4','a8ba0168d883ecc5e4762a13e4a9ebeb34bd7345717c158327534eef3848e6ce','a picture that was lost','run-1','openrouter','images',NULL,'painter-1','1024x1024','medium',0,40000,'2026-11-24','2026-11-24T09:30:00.123456+00:00','PAID_BAD','2026-11-24T09:30:00.123456+00:00',39000,'reported','its picture was lost',NULL,NULL,NULL,'user','d55f5562fe52aa0c60f8e4adef3ef47a20475d841477e86b3f57cd0ea5b13a5e',NULL,3,NULL);
INSERT INTO "purchases" VALUES(13,'292c01c7bd20d6862462954d629f731f','c7df995408197fc4517313f1feda26601fa121d124c0e435efc6304701bd6d7a','a bill that was put right','run-1','openrouter','images',NULL,'painter-1','1024x1024','medium',0,40000,'2026-11-24','2026-11-24T09:30:00.123456+00:00','PAID','2026-11-24T09:30:00.123456+00:00',40000,'reported','','92b2fa58028958317e408bd84ecfa70f5ee35b121991dbc232c49d166353708b','{"media_type":"image/png","width_px":1024,"height_px":1024,"size_bytes":1234567}',12.5,'user','6afed98bfd6cdac0d03c506af9efbf94e4130044f9a6457e757ad6aa4148cefa',NULL,3,NULL);
INSERT INTO "purchases" VALUES(14,'c517f8ea4ec5af1cb41a2e9a0f31f134','cdd45908ec547564b8e45de5b4437af8a92cb8d9191e90f9a2f5187d727d4a5a','雨','run-1','openai','images',NULL,'painter-1','1024x1024','medium',0,40000,'2026-11-24','2026-11-24T09:30:00.123456+00:00','PAID','2026-11-24T09:30:00.123456+00:00',41000,'reported','','92b2fa58028958317e408bd84ecfa70f5ee35b121991dbc232c49d166353708b','{"media_type":"image/png","width_px":1024,"height_px":1024,"size_bytes":1234567,"image_url":"https://images.example/rain.png","details":{"revised_prompt":"Rain."},"dropped":["seed"]}',12.5,NULL,'8f3ffe64b8ba0f14567a07130113e6610ba65f4be27cdc459eb6272d40668624','req-1',3,'2ed123966fefda62c0c90037cb83a9c63975c6b105cb64ddb61729b1a6285f77');
INSERT INTO "purchases" VALUES(15,'eb2e01604fea3fe8c36763d040b98209','601c9e77397d226975281ad7486a67503b74aa28e2772b63eafdd43947bf8bd1','of an earlier key','run-1','openrouter','images',NULL,'painter-1','1024x1024','medium',0,40000,'2026-11-24','2026-11-24T09:30:00.123456+00:00','SENDING','2026-11-24T09:30:00.123456+00:00',NULL,NULL,'',NULL,NULL,NULL,NULL,'890a0b4a35dbf27a062071785e13032bf0ec35714e5a0448999c311d9811dd20',NULL,1,NULL);
INSERT INTO "purchases" VALUES(16,'8b3c9929cf2cf2d1c991431e37e33f02','c6278723ede591f4eea6f8ec8f351ea291c554d935ac782df872f833dab903bb','made here','run-1','openrouter','images',NULL,'painter-1','1024x1024','medium',1,0,'2026-11-24','2026-11-24T09:30:00.123456+00:00','PAID','2026-11-24T09:30:00.123456+00:00',0,'reported','','92b2fa58028958317e408bd84ecfa70f5ee35b121991dbc232c49d166353708b','{"media_type":"image/png","width_px":1024,"height_px":1024,"size_bytes":1234567}',12.5,NULL,'c5565760c58b98edcccfa9d7fd9310ac4d57364dd3c5f8ed3feecbdf9d01fa33',NULL,3,NULL);
CREATE TRIGGER a_counter_stays BEFORE DELETE ON counters
BEGIN SELECT RAISE(ABORT, 'a counter is never deleted'); END;
CREATE TRIGGER what_is_known_stays BEFORE DELETE ON meta
BEGIN SELECT RAISE(ABORT, 'what the ledger knows of itself is never deleted'); END;
CREATE UNIQUE INDEX one_live ON purchases (scene_key) WHERE state IN ('PAID', 'RESERVED', 'SENDING', 'UNKNOWN');
CREATE INDEX of_content ON purchases (content_key) WHERE state = 'PAID';
CREATE INDEX in_work ON purchases (run_id) WHERE state IN ('RESERVED', 'SENDING');
CREATE INDEX written_off ON purchases (scene_key) WHERE state = 'WROTE_OFF';
CREATE INDEX paid_for_nothing ON purchases (scene_key) WHERE state = 'PAID_BAD';
CREATE INDEX billed ON purchases (provider, model, size, quality, cost_microusd) WHERE basis IN ('gateway', 'reported', 'tokens')
;
CREATE TRIGGER a_purchase_begins_in_work BEFORE INSERT ON purchases
WHEN NOT NEW.state IN ('RESERVED', 'SENDING')
BEGIN SELECT RAISE(ABORT, 'a new purchase is in work'); END;
CREATE TRIGGER a_purchase_is_not_replaced BEFORE INSERT ON purchases
WHEN EXISTS (SELECT 1 FROM purchases WHERE attempt_id = NEW.attempt_id)
  OR EXISTS (SELECT 1 FROM purchases WHERE seq = NEW.seq)
  OR EXISTS (SELECT 1 FROM purchases WHERE scene_key = NEW.scene_key AND state IN ('PAID', 'RESERVED', 'SENDING', 'UNKNOWN'))
BEGIN SELECT RAISE(ABORT, 'this purchase, or a live one of this scene, is there already'); END;
CREATE TRIGGER a_purchase_goes_a_legal_way BEFORE UPDATE ON purchases
WHEN NOT ((OLD.state = 'RESERVED' AND NEW.state IN ('SENDING', 'VOID')) OR (OLD.state = 'SENDING' AND NEW.state IN ('PAID', 'PAID_BAD', 'REFUSED', 'UNKNOWN', 'VOID')) OR (OLD.state = 'UNKNOWN' AND NEW.state IN ('PAID', 'PAID_BAD', 'REFUSED', 'WROTE_OFF')) OR (OLD.state = 'PAID' AND NEW.state IN ('PAID_BAD')) OR (NEW.state = OLD.state AND OLD.state IN ('PAID', 'PAID_BAD')))
  OR NEW.seq <> OLD.seq
BEGIN SELECT RAISE(ABORT, 'a purchase cannot go this way'); END;
CREATE TRIGGER a_picture_is_given_up_by_a_person BEFORE UPDATE ON purchases
WHEN OLD.state = 'PAID' AND NEW.state = 'PAID_BAD' AND NEW.decided_by IS NOT 'user'
BEGIN SELECT RAISE(ABORT, 'only a person gives up a picture that was paid for'); END;
CREATE TRIGGER a_cost_is_corrected_by_a_person BEFORE UPDATE ON purchases
WHEN NEW.state = OLD.state AND OLD.state IN ('PAID', 'PAID_BAD') AND NOT (
  NEW.decided_by IS 'user' AND NEW.cost_microusd IS NOT NULL AND NEW.changed_at IS OLD.changed_at AND NEW.why IS OLD.why AND NEW.sha256 IS OLD.sha256 AND NEW.facts IS OLD.facts AND NEW.took_s IS OLD.took_s AND NEW.request_id IS OLD.request_id
  AND EXISTS (
    SELECT 1 FROM events WHERE seq = (SELECT max(seq) FROM events)
    AND event = 'corrected' AND purchase = OLD.seq
    AND old IS CAST(OLD.cost_microusd AS TEXT) AND new = CAST(NEW.cost_microusd AS TEXT)
  )
)
BEGIN SELECT RAISE(ABORT, 'a cost is only corrected by a person, behind its event'); END;
CREATE TRIGGER a_purchase_stays BEFORE DELETE ON purchases
BEGIN SELECT RAISE(ABORT, 'a purchase is never deleted'); END;
CREATE TRIGGER a_beginning_is_written_down AFTER INSERT ON purchases
BEGIN
  INSERT INTO events (purchase, event, old, new, at, why)
  VALUES (NEW.seq, 'changed', NULL, NEW.state, NEW.changed_at, NEW.why);
END;
CREATE TRIGGER a_change_is_written_down AFTER UPDATE ON purchases
WHEN NEW.state <> OLD.state
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
CREATE TRIGGER a_day_does_not_come_back BEFORE UPDATE ON meta
WHEN OLD.name = 'last_day' AND (
  NEW.name <> OLD.name
  OR NEW.value < OLD.value AND NOT EXISTS (
    SELECT 1 FROM events WHERE seq = (SELECT max(seq) FROM events)
    AND event = 'day_set' AND old = OLD.value AND new = NEW.value
  )
)
BEGIN SELECT RAISE(ABORT, 'the last day only moves forward'); END;
CREATE INDEX of_base ON purchases (base_key) WHERE base_key IS NOT NULL AND state = 'PAID';
CREATE TRIGGER a_purchase_names_its_keys BEFORE INSERT ON purchases
WHEN NEW.content_key IS NULL OR NEW.key_version IS NULL
BEGIN SELECT RAISE(ABORT, 'this ledger needs a newer version of stage3-plugin'); END;
CREATE TRIGGER an_agreement_is_frozen
BEFORE UPDATE OF seq, attempt_id, scene_key, scene_id, run_id, provider, api, base_url, model, size, quality, is_local, hold_microusd, day, held_at, content_key, key_version, base_key ON purchases
BEGIN SELECT RAISE(ABORT, 'what a purchase began as never changes'); END;
COMMIT;
