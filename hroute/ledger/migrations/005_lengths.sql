-- How long answers were: one small row a rule, provider and model, read before a call to say what it may cost.

CREATE TABLE answer_length (
  rule     TEXT NOT NULL,
  provider TEXT NOT NULL,
  model    TEXT NOT NULL,                 -- as the policy names it
  recent   TEXT NOT NULL,                 -- JSON: bucket of tokens -> answers
  n        INTEGER NOT NULL,              -- answers in `recent`
  before   TEXT NOT NULL,                 -- the same of the answers before those
  m        INTEGER NOT NULL,              -- answers in `before`
  PRIMARY KEY (rule, provider, model)
);
