"""One policy that uses every part of the language."""

from __future__ import annotations

WHOLE = r"""
# yaml-language-server: $schema=hroute/schema/policy.schema.json
version: 1
mode: enforce
baseline: claude_sonnet
providers:
  ollama:
    base_url: env:OLLAMA_URL
    local: true
    context_window: 32768
    timeout: {connect: 2s, first_token: 20s, idle: 15s, total: 120s}
    retry: {attempts: 2, base: 200ms, max: 2s}
    breaker: {failures: 5, within: 60s, open_for: 30s, probes: 1, latency: {p95: 8s, samples: 20, within: 120s, open_for: 60s}}
    limits: {concurrency: 1, requests_per_minute: 600, tokens_per_minute: 200000, wait: 1500ms}
  claude_sonnet: {plugin: anthropic, model: M, api_key: env:ANTHROPIC_API_KEY, labels: {region: us, terms: api}}
  deepseek: {plugin: openai, model: M, base_url: https://api.deepseek.com, api_key: "keyring:deepseek", labels: {region: cn}}
  gemma:
    plugin: ollama
    model: gemma2:9b
    base_url: http://10.0.0.7:11434
    local: network
    usd_per_hour: 0.35
    options: {keep_alive: 5m}
  mine:
    plugin: command
    command: [mine, --quiet]
    vouched: it runs without network
    params: {a: [1, null, {b: true}]}
    price: {input: 3.0, output: 15.0, cache_read: 0.3, cache_write: 3.75, bands: [{above: 200000, input: 6, output: 22.5}]}
tiers:
  strong: [claude_sonnet, gpt4o]
  cheap: [claude_haiku, deepseek]
  local: [ollama, gemma]
define:
  sensitive: {any: [{pii: [payment_card, iban, employee_id]}, {contains_secret: true}]}
  not_sensitive: {not: {is: sensitive}}
routing_rules:
  - {name: stays_here, condition: {is: sensitive}, route_to: ollama, fallback: null}
  - {name: complaint, condition: {intent: [complaint, legal]}, route_to: strong}
  - {name: code, condition: {task_type: code}, route_to: claude_sonnet, fallback: gpt4o, params: {max_tokens: 900}, deadline: 90s, attempts: 3}
  - {name: batch, condition: {batch_size: ">100"}, route_to: cheap, fallback: local, on_all_failed: queue}
  - {name: in_doubt, condition: {any: [{score: ">0.35"}, {confidence: "<0.6"}]}, route_to: strong}
  - name: faq
    description: What people ask all day.
    condition: {intent: [opening_hours, smalltalk]}
    route_to: ollama
    fallback: [claude_haiku, claude_sonnet]
    validate:
      {attempts: 2, format: json, not_refusal: true, schema: {type: object}, min_certainty: 0.7, choices: [a, b], matches: "^a", agree: {with: gemma}, judge: gpt4o}
    rollout: 90%
    holdout: 5%
    hold: session
    shadow: {to: gpt4o, sample: 2.5%}
  - {name: not_here, condition: {tenant: blocked}, refuse: This account is closed.}
  - name: canary
    condition: {requested_model: "claude-*", not: {message: {any_of: please, matches: ['\d+'], unless: [not]}}, user: "!=x"}
    split: {gpt4o: 10, claude_sonnet: 90%}
    fallback: ollama
  - name: strange
    condition:
      all: [{batch_size: ">5"}, {batch_size: "!=7"}, {not: {task_type: [code, qa]}}, {language: null}, {score: 0.25..0.5}, {task_type: "c*"}]
      any: [{tools: 0}, {stream: true}, {arrival_hour: "<6"}, {pii: null}, {pii_in: "!=tool"}, {priority: "!=batch"}]
    route_to: mine
  - {name: gone, enabled: false, condition: {nonsense: 1}, route_to: nowhere}
default: {route_to: strong, fallback: cheap}
guarantees:
  - {name: stays_home, when: {is: sensitive}, only: {local: [true, network]}}
  - {name: quality, when: {intent: [complaint, legal]}, unless: {is: sensitive}, only: {tier: strong}, never: {region: [cn]}}
budgets:
  - name: daily
    limit_usd: 20
    per: day
    timezone: Europe/Berlin
    at: {50%: alert, 100%: {only: {tier: [cheap, local]}, unless: {intent: [complaint, legal]}}}
  - {name: bot, limit_usd: 50.123456789, per: month, where: {cost_center: telegram-bot}, at: {100%: refuse, 90%: {reroute_to: cheap}}}
intents:
  opening_hours: {any_of: [opening hours, are you open], matches: ['\b(open|close)[sd]?\b'], unless: [open on my], examples: [when do you open]}
  smalltalk: {all_of: [how, are]}
scoring: {miss_cost: 10, low: 0.3, high: 0.8, confidence: 0.5, weights: {code: 0.25}}
signals:
  pii: {custom: {employee_id: 'E-\d{6}'}, allow: ["@example.com"]}
  contains_pii: {unread: false}
timeout: {total: 4m}
retry: {max: 3s}
breaker: {failures: 4}
limits: {requests_per_minute: 50}
deadline: 100s
attempts: 5
on_all_open: wait<=5s
ledger: {path: env:LEDGER, signals: all}
log_text: redacted
alerts: {log: true}
gateway: {port: 8485}
"""
