-- A ledger as the third version made it, purchases in every state, and some that a person decided
-- about. It never changes: what is opened here is what lies on people's disks.
PRAGMA application_id=1398032179;
PRAGMA user_version=3;
BEGIN TRANSACTION;
CREATE TABLE counters (
  scope TEXT NOT NULL PRIMARY KEY,
  committed_microusd INTEGER NOT NULL CHECK (committed_microusd >= 0)
) STRICT, WITHOUT ROWID
;
INSERT INTO "counters" VALUES('day:openai:2026-11-24',39000);
INSERT INTO "counters" VALUES('day:openrouter:2026-11-24',607000);
INSERT INTO "counters" VALUES('day:openrouter:2027-11-24',0);
INSERT INTO "counters" VALUES('run:run-0',119000);
INSERT INTO "counters" VALUES('run:run-1',527000);
INSERT INTO "counters" VALUES('total',646000);
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
INSERT INTO "events" VALUES(42,19,'changed',NULL,'SENDING','2026-11-24T09:30:00.123456+00:00','');
INSERT INTO "events" VALUES(43,19,'changed','SENDING','PAID','2026-11-24T09:30:00.123456+00:00','');
INSERT INTO "events" VALUES(44,20,'changed',NULL,'SENDING','2026-11-24T09:30:00.123456+00:00','');
INSERT INTO "events" VALUES(45,20,'changed','SENDING','PAID','2026-11-24T09:30:00.123456+00:00','');
INSERT INTO "events" VALUES(46,21,'changed',NULL,'SENDING','2026-11-24T09:30:00.123456+00:00','');
INSERT INTO "events" VALUES(47,21,'changed','SENDING','PAID','2026-11-24T09:30:00.123456+00:00','');
INSERT INTO "events" VALUES(48,21,'overrun','SENDING','PAID','2026-11-24T09:30:00.123456+00:00','billed 999999000 micro-USD, held 40000');
INSERT INTO "events" VALUES(49,21,'corrected','999999000','39000','2026-11-24T09:30:00.123456+00:00','the bill says so');
INSERT INTO "events" VALUES(50,22,'changed',NULL,'SENDING','2026-11-24T09:30:00.123456+00:00','');
INSERT INTO "events" VALUES(51,22,'changed','SENDING','VOID','2026-11-24T09:30:00.123456+00:00','the name does not resolve');
INSERT INTO "events" VALUES(52,NULL,'day_set','2027-11-24','2026-11-24','2026-11-24T09:30:00.123456+00:00','the clock was wrong');
CREATE TABLE meta (name TEXT NOT NULL PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
INSERT INTO "meta" VALUES('accepted:00000000000000000000000000000000','2026-11-24T09:30:00.123456+00:00');
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
  basis TEXT CHECK (basis IN ('flat', 'free', 'gateway', 'held', 'reported', 'tokens', 'unknown')),
  why TEXT NOT NULL,
  sha256 TEXT CHECK (length(sha256) = 64 AND sha256 NOT GLOB '*[^0-9a-f]*'),
  facts TEXT,
  took_s REAL,
  decided_by TEXT CHECK (decided_by IN ('policy', 'user')),
  content_key TEXT,
  request_id TEXT,
  CHECK ((state = 'PAID') = (sha256 IS NOT NULL)),
  CHECK (NOT state IN ('RESERVED', 'SENDING', 'UNKNOWN') OR (cost_microusd IS NULL AND basis IS NULL)),
  CHECK (state IN ('RESERVED', 'SENDING', 'UNKNOWN') OR basis IS NOT NULL),
  CHECK (NOT state IN ('REFUSED', 'VOID') OR cost_microusd IS 0),
  CHECK (state <> 'WROTE_OFF' OR decided_by IS NOT NULL)
) STRICT
;
INSERT INTO "purchases" VALUES(1,'00000000000000000000000000000001','dd2c1504a2f8da6ae107b5050e36492b5d647100fba2b303020151d4274ec871','scene 0','run-0','openrouter','images',NULL,'painter-1','1024x1024','medium',0,40000,'2026-11-24','2026-11-24T09:30:00.123456+00:00','RESERVED','2026-11-24T09:30:00.123456+00:00',NULL,NULL,'',NULL,NULL,NULL,NULL,'b136330c2cecd28175f82eec3257b4585f18f0d92902d6ac62e8ccd4ec346602',NULL);
INSERT INTO "purchases" VALUES(2,'00000000000000000000000000000002','5a5edc688a3214988e2517332739e2721c1c611c0f6a617d5b35fb924d74b92f','scene 1','run-1','openrouter','images',NULL,'painter-1','1024x1024','medium',0,40000,'2026-11-24','2026-11-24T09:30:00.123456+00:00','SENDING','2026-11-24T09:30:00.123456+00:00',NULL,NULL,'',NULL,NULL,NULL,NULL,'ad8e9748a082b75fbe108a30a6ecd49647765425e98dd72111eb44bd8497fd1b',NULL);
INSERT INTO "purchases" VALUES(3,'00000000000000000000000000000003','37721ca3675771d5a716ba02f8d349c2c4a5ec7150e4026e93f06c32e2f4d2e8','scene 2','run-0','openrouter','images',NULL,'painter-1','1024x1024','medium',0,40000,'2026-11-24','2026-11-24T09:30:00.123456+00:00','UNKNOWN','2026-11-24T09:30:00.123456+00:00',NULL,NULL,'the connection was lost',NULL,NULL,NULL,NULL,'3c9fda3773b67e0c01e6f7e7ddc21255d43f3be3a0b0323395acab890c7a82f9',NULL);
INSERT INTO "purchases" VALUES(4,'00000000000000000000000000000004','fde711566f9f05c25880960b8ab945e402027bffc24fd8f9da9b9683b13488ee','scene 3','run-1','openrouter','images',NULL,'painter-1','1024x1024','medium',0,40000,'2026-11-24','2026-11-24T09:30:00.123456+00:00','PAID','2026-11-24T09:30:00.123456+00:00',39000,'reported','','92b2fa58028958317e408bd84ecfa70f5ee35b121991dbc232c49d166353708b','{"media_type":"image/png","width_px":1024,"height_px":1024,"size_bytes":1234567}',12.5,NULL,'818140c4a500401c31cb1a614461d39ccfd0aec320a005a9cba0ad28d8191bb5',NULL);
INSERT INTO "purchases" VALUES(5,'00000000000000000000000000000005','55992181b6b13bfe58d9982462ba19edffb75a20a210c8b0fffdafa6b75137c4','scene 4','run-0','openrouter','images',NULL,'painter-1','1024x1024','medium',0,40000,'2026-11-24','2026-11-24T09:30:00.123456+00:00','PAID_BAD','2026-11-24T09:30:00.123456+00:00',39000,'reported','the picture is cut off',NULL,NULL,NULL,NULL,'3aea3b305d52792eab8d700a133145caa097659fd20cef0ec7fbbe553a61dae3',NULL);
INSERT INTO "purchases" VALUES(6,'00000000000000000000000000000006','1167eb73af2ad0626ac36345eebb3d61718749f616ddde46c05e7f797e7b9187','scene 5','run-1','openrouter','images',NULL,'painter-1','1024x1024','medium',0,40000,'2026-11-24','2026-11-24T09:30:00.123456+00:00','REFUSED','2026-11-24T09:30:00.123456+00:00',0,'free','content policy',NULL,NULL,NULL,NULL,'e3eb449d290800554c7093ff77dc16e9004ec44c8a6e140c2f73ee3110c1bc79',NULL);
INSERT INTO "purchases" VALUES(7,'00000000000000000000000000000007','8acc632ded6bfb11729a4ee8d81e3d1a205f772e9b6ba63735c713a442f2d5c3','scene 6','run-0','openrouter','images',NULL,'painter-1','1024x1024','medium',0,40000,'2026-11-24','2026-11-24T09:30:00.123456+00:00','VOID','2026-11-24T09:30:00.123456+00:00',0,'free','the name does not resolve',NULL,NULL,NULL,NULL,'0c79afe27209e57cb521fa1cc2d64df7339bd18f2bff2ebdec634ff340476eef',NULL);
INSERT INTO "purchases" VALUES(8,'00000000000000000000000000000008','a4f239c9362f2ce13c6916c6783337e5a5122395ec1a5e444449c4a636f763fe','scene 7','run-1','openrouter','images',NULL,'painter-1','1024x1024','medium',0,40000,'2026-11-24','2026-11-24T09:30:00.123456+00:00','WROTE_OFF','2026-11-24T09:30:00.123456+00:00',NULL,'unknown','sent again',NULL,NULL,NULL,'policy','5adfbd9bf6116157a27623179c10d16e1114ca1ee1f7328ef68f61488dbd4892',NULL);
INSERT INTO "purchases" VALUES(9,'00000000000000000000000000000009','bdab93c890753bee0c4910317c6e37b59b88945c7969453e8db5f9963ebe8b45','by hand 0','run-1','openrouter','images',NULL,'painter-1','1024x1024','medium',0,40000,'2026-11-24','2026-11-24T09:30:00.123456+00:00','WROTE_OFF','2026-11-24T09:30:00.123456+00:00',NULL,'unknown','written off',NULL,NULL,NULL,'user','238df9d9ab3acc720f4e4675272e5c87401386b1e86913546f8cd450c9267c7a',NULL);
INSERT INTO "purchases" VALUES(10,'0000000000000000000000000000000a','5aa1d7289a9395680e00785f984d60f7d7fcb452eb020051c5c76d651cbf61ff','by hand 1','run-1','openrouter','images',NULL,'painter-1','1024x1024','medium',0,40000,'2026-11-24','2026-11-24T09:30:00.123456+00:00','PAID_BAD','2026-11-24T09:30:00.123456+00:00',40000,'reported','found billed',NULL,NULL,NULL,'user','f08821afd90e1d6c5407d311e8e33e20651fab17b0603ca055aeca79540373d0',NULL);
INSERT INTO "purchases" VALUES(11,'0000000000000000000000000000000b','aab5b70cfbea785790eb6af640c09667e816deeae2032d88ad8e19c7f9e29074','by hand 2','run-1','openrouter','images',NULL,'painter-1','1024x1024','medium',0,40000,'2026-11-24','2026-11-24T09:30:00.123456+00:00','REFUSED','2026-11-24T09:30:00.123456+00:00',0,'free','found not billed',NULL,NULL,NULL,'user','e67882ec0eb93b71b01147eed0c0aadf1774f6eb2c7d69a379a84aa1c749e38f',NULL);
INSERT INTO "purchases" VALUES(12,'0000000000000000000000000000000c','ad719b442473a3ad2a56e1ceaf47a93e22495796cd687ffdc2fccac220eb6e44','by hand 3','run-1','openrouter','images',NULL,'painter-1','1024x1024','medium',0,40000,'2026-11-24','2026-11-24T09:30:00.123456+00:00','PAID_BAD','2026-11-24T09:30:00.123456+00:00',39000,'reported','its picture was lost',NULL,NULL,NULL,'user','f768c0e7a88633c0ef94cd8ee9e5e266f2dbe032d8e0742aa90b1aa0f891d423',NULL);
INSERT INTO "purchases" VALUES(13,'0000000000000000000000000000000d','8a3db3c2a6fbfc6b0ef6b107ed8724f5c8ac78f2d27fc28acb1ba8a2f4443c2f','again','run-1','openrouter','images',NULL,'painter-1','1024x1024','medium',0,40000,'2026-11-24','2026-11-24T09:30:00.123456+00:00','WROTE_OFF','2026-11-24T09:30:00.123456+00:00',NULL,'unknown','sent again',NULL,NULL,NULL,'policy','3be5676ab0673f6d4387d80355bfd8826a558ce92ec20917b12559a91b1d22ad',NULL);
INSERT INTO "purchases" VALUES(14,'0000000000000000000000000000000e','8a3db3c2a6fbfc6b0ef6b107ed8724f5c8ac78f2d27fc28acb1ba8a2f4443c2f','again','run-1','openrouter','images',NULL,'painter-1','1024x1024','medium',0,40000,'2026-11-24','2026-11-24T09:30:00.123456+00:00','PAID','2026-11-24T09:30:00.123456+00:00',39000,'reported','','92b2fa58028958317e408bd84ecfa70f5ee35b121991dbc232c49d166353708b','{"media_type":"image/png","width_px":1024,"height_px":1024,"size_bytes":1234567}',12.5,NULL,'3be5676ab0673f6d4387d80355bfd8826a558ce92ec20917b12559a91b1d22ad',NULL);
INSERT INTO "purchases" VALUES(15,'0000000000000000000000000000000f','6160ac7e18a29863d1160af24ea3153b41b4e217e0cc6503c9e89806c693b1f6','elsewhere','run-1','openai','images','http://localhost:8080/v1','painter-1','1024x1024','medium',0,40000,'2026-11-24','2026-11-24T09:30:00.123456+00:00','PAID','2026-11-24T09:30:00.123456+00:00',39000,'reported','','92b2fa58028958317e408bd84ecfa70f5ee35b121991dbc232c49d166353708b','{"media_type":"image/png","width_px":1024,"height_px":1024,"size_bytes":1234567}',12.5,NULL,'b913106e2a3ef08d50182f0edf83057d15150af67cb7021ac4eb8dd547f19835',NULL);
INSERT INTO "purchases" VALUES(16,'00000000000000000000000000000010','ed57abc2cbec9a4f596767f71d6a330460fd7a9ea8908b97c516a7ce90b0c8aa','cost unknown','run-1','openrouter','images',NULL,'painter-1','1024x1024','medium',0,40000,'2026-11-24','2026-11-24T09:30:00.123456+00:00','PAID','2026-11-24T09:30:00.123456+00:00',NULL,'unknown','','92b2fa58028958317e408bd84ecfa70f5ee35b121991dbc232c49d166353708b','{"media_type":"image/png","width_px":1024,"height_px":1024,"size_bytes":1234567}',12.5,NULL,'546c5ca378cc559e27a39671db9789756448a969402826ea5e00e3cde5428fa9',NULL);
INSERT INTO "purchases" VALUES(17,'00000000000000000000000000000011','6d6a3cfc9274d8526142909f3e4e6863cc457f13a0d176b2e57e978226b6e8da','drawn here','run-1','previz','images',NULL,'','1024x1024','medium',1,0,'2026-11-24','2026-11-24T09:30:00.123456+00:00','PAID','2026-11-24T09:30:00.123456+00:00',0,'free','','92b2fa58028958317e408bd84ecfa70f5ee35b121991dbc232c49d166353708b','{"media_type":"image/png","width_px":1024,"height_px":1024,"size_bytes":1234567}',12.5,NULL,'a8aa2517a1ba2b729de80c84c64f5b2c3bd5e0364d0266d86178a59e5ff54392',NULL);
INSERT INTO "purchases" VALUES(18,'00000000000000000000000000000012','bdcf903295b87dff4e8b75b2066569057f16db2d70d3913c01abc395062d1173','雨','run-1','openrouter','images',NULL,'painter-1','1024x1024','medium',0,40000,'2026-11-24','2026-11-24T09:30:00.123456+00:00','PAID','2026-11-24T09:30:00.123456+00:00',41000,'reported','','92b2fa58028958317e408bd84ecfa70f5ee35b121991dbc232c49d166353708b','{"media_type":"image/png","width_px":1024,"height_px":1024,"size_bytes":1234567}',12.5,NULL,'fde17d5309b97d830324513b4689847bd190cb4e408ea08f8ed9fcb0a48dc27a',NULL);
INSERT INTO "purchases" VALUES(19,'00000000000000000000000000000013','71dc4986c9d76ebee48ccc9dab5622bca1d6a09b9ce7e92bc98c44c2b1632c26','by a gateway','run-1','openrouter','images',NULL,'painter-1','1024x1024','medium',0,40000,'2026-11-24','2026-11-24T09:30:00.123456+00:00','PAID','2026-11-24T09:30:00.123456+00:00',12000,'gateway','','92b2fa58028958317e408bd84ecfa70f5ee35b121991dbc232c49d166353708b','{"media_type":"image/png","width_px":1024,"height_px":1024,"size_bytes":1234567,"image_url":"https://example.com/1.png","details":{"revised_prompt":"a pier"},"dropped":["references"]}',12.5,NULL,'67dd602c06472fa68fbdf4894b6c6804e3e1d67d70daea5c20336a08fb591988','req-1');
INSERT INTO "purchases" VALUES(20,'00000000000000000000000000000014','4175651496957c233ed761f4ac83b5e87e9a4a07119f9b018d27941520102c3b','with references','run-1','openrouter','images',NULL,'painter-1','1024x1024','medium',0,40000,'2026-11-24','2026-11-24T09:30:00.123456+00:00','PAID','2026-11-24T09:30:00.123456+00:00',39000,'reported','','92b2fa58028958317e408bd84ecfa70f5ee35b121991dbc232c49d166353708b','{"media_type":"image/png","width_px":1024,"height_px":1024,"size_bytes":1234567,"dropped":["references"]}',12.5,NULL,'24a89f5a015ebd61b6874d7861feca17c84c20d223c59b84269714de8ba67b41',NULL);
INSERT INTO "purchases" VALUES(21,'00000000000000000000000000000015','72db05dbc743bf09e830b55bd189e20025847a25026cff454160f8fa865a53b4','put right','run-1','openrouter','images',NULL,'painter-1','1024x1024','medium',0,40000,'2026-11-24','2026-11-24T09:30:00.123456+00:00','PAID','2026-11-24T09:30:00.123456+00:00',39000,'reported','','92b2fa58028958317e408bd84ecfa70f5ee35b121991dbc232c49d166353708b','{"media_type":"image/png","width_px":1024,"height_px":1024,"size_bytes":1234567}',12.5,'user','c763d57f1418ccad1bc3c567147185976fcf7887b211cd098858745e8e3e3e76',NULL);
INSERT INTO "purchases" VALUES(22,'00000000000000000000000000000016','f56ac5cf8ca68a9acf46dda22f226e29aa27021524209d54afd812314ff9becf','another day','run-1','openrouter','images',NULL,'painter-1','1024x1024','medium',0,40000,'2027-11-24','2026-11-24T09:30:00.123456+00:00','VOID','2026-11-24T09:30:00.123456+00:00',0,'free','the name does not resolve',NULL,NULL,NULL,NULL,'8ddc7f6a7ee78ce8a1b290275de07b5d4e128a8f767d0c48da79690425a0a7e9',NULL);
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
CREATE TRIGGER a_purchase_names_its_content BEFORE INSERT ON purchases
WHEN NEW.content_key IS NULL
BEGIN SELECT RAISE(ABORT, 'this ledger needs a newer version of stage3-plugin'); END;
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
CREATE TRIGGER an_agreement_is_frozen BEFORE UPDATE OF seq, attempt_id, scene_key, scene_id, run_id, provider, api, base_url, model, size, quality, is_local, hold_microusd, day, held_at, content_key ON purchases
BEGIN SELECT RAISE(ABORT, 'what a purchase began as never changes'); END;
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
COMMIT;
