-- Requests with a reply that failed validation, found without reading every attempt.

CREATE INDEX attempt_spoiled ON attempt (request) WHERE outcome = 'bad_content';
