insert into lifecycle.decisions (
    domain, target, candidate_version, champion_version, as_of, door, look, verdict, reason, alpha_spent, has_skill,
    evidence, decided_by
)
values (
    %(domain)s, %(target)s, %(candidate_version)s, %(champion_version)s, %(as_of)s, %(door)s, %(look)s, %(verdict)s,
    %(reason)s, %(alpha_spent)s, %(has_skill)s, %(evidence)s, %(decided_by)s
)
on conflict do nothing;
