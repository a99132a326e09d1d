"""What a person or a program is shown: findings, decisions, reports; no decisions are taken here."""
