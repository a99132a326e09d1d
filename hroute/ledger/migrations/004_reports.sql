-- What reports ask for: sums by purpose, kind of task and hour, verdicts on answers, alarms that were told, and the
-- indexes of rare questions.

ALTER TABLE request ADD COLUMN task_type TEXT NOT NULL DEFAULT '';

CREATE TABLE rollup_wide (
  day TEXT NOT NULL, provider TEXT NOT NULL, model TEXT NOT NULL, rule TEXT NOT NULL,
  cost_center TEXT NOT NULL, intent TEXT NOT NULL, mode TEXT NOT NULL, purpose TEXT NOT NULL, task_type TEXT NOT NULL,
  requests   BIGINT NOT NULL,
  failed     BIGINT NOT NULL,             -- without an answer, refusals included
  refused    BIGINT NOT NULL,
  escalated  BIGINT NOT NULL,
  diverted   BIGINT NOT NULL,
  spoiled    BIGINT NOT NULL,             -- requests with at least one reply that failed validation
  follow_ups BIGINT NOT NULL,
  input      BIGINT NOT NULL, output BIGINT NOT NULL, cache_read BIGINT NOT NULL, cache_write BIGINT NOT NULL,
  reasoning  BIGINT NOT NULL,
  cost       BIGINT NOT NULL,             -- of the requests whose price is known
  unpriced   BIGINT NOT NULL,             -- the others
  estimated  BIGINT NOT NULL,
  would_cost BIGINT NOT NULL,
  would_unpriced BIGINT NOT NULL,
  would_refused  BIGINT NOT NULL,         -- what the observed policy would have refused
  good       BIGINT NOT NULL,             -- verdicts of people
  bad        BIGINT NOT NULL,
  PRIMARY KEY (day, provider, model, rule, cost_center, intent, mode, purpose, task_type)
);
INSERT INTO rollup_wide (
  day, provider, model, rule, cost_center, intent, mode, purpose, task_type, requests, failed, refused, escalated,
  diverted, spoiled, follow_ups, input, output, cache_read, cache_write, reasoning, cost, unpriced, estimated,
  would_cost, would_unpriced, would_refused, good, bad
) SELECT day, provider, model, rule, cost_center, intent, mode, '', '', requests, failed, refused, escalated,
  diverted, spoiled, follow_ups, input, output, cache_read, cache_write, reasoning, cost, unpriced, estimated,
  would_cost, would_unpriced, 0, 0, 0 FROM rollup;
DROP TABLE rollup;
ALTER TABLE rollup_wide RENAME TO rollup;

CREATE TABLE rollup_hour (
  hour BIGINT NOT NULL,                   -- hours since 1970, UTC
  provider TEXT NOT NULL, rule TEXT NOT NULL, mode TEXT NOT NULL,
  requests   BIGINT NOT NULL,
  failed     BIGINT NOT NULL,
  refused    BIGINT NOT NULL,
  escalated  BIGINT NOT NULL,
  diverted   BIGINT NOT NULL,
  spoiled    BIGINT NOT NULL,
  follow_ups BIGINT NOT NULL,
  input      BIGINT NOT NULL, output BIGINT NOT NULL, cache_read BIGINT NOT NULL, cache_write BIGINT NOT NULL,
  reasoning  BIGINT NOT NULL,
  cost       BIGINT NOT NULL,
  unpriced   BIGINT NOT NULL,
  estimated  BIGINT NOT NULL,
  would_cost BIGINT NOT NULL,
  would_unpriced BIGINT NOT NULL,
  would_refused  BIGINT NOT NULL,
  good       BIGINT NOT NULL,
  bad        BIGINT NOT NULL,
  PRIMARY KEY (hour, provider, rule, mode)
);

ALTER TABLE feedback ADD COLUMN note TEXT NOT NULL DEFAULT '';

-- A rate that had grown when somebody was told; its row goes once the rate is as it was.
CREATE TABLE alarm (
  rule   TEXT NOT NULL,
  metric TEXT NOT NULL,
  ts     BIGINT NOT NULL,
  cause  TEXT NOT NULL,
  PRIMARY KEY (rule, metric)
);

-- When something that is done now and then was done last, by whichever process.
CREATE TABLE done (
  name TEXT PRIMARY KEY,
  ts   BIGINT NOT NULL
);

-- All that costs by session ask for is in the index; the others hold few rows.
DROP INDEX request_session;
CREATE INDEX request_session ON request (session_key, ts, mode, state, outcome, escalated, escalation, cost, estimated)
  WHERE session_key <> '';
CREATE INDEX request_variant ON request (rule, variant, ts) WHERE variant <> '';
CREATE INDEX request_not_ok ON request (outcome, ts) WHERE outcome <> 'ok';
CREATE INDEX request_would_refuse ON request (ts) WHERE mode = 'observe' AND routed_to = '';
