insert into lifecycle.shadow_scores (
    domain, target, model_version, role, as_of, matures_at, champion_version, n, score, difference
)
values (
    %(domain)s, %(target)s, %(model_version)s, %(role)s, %(as_of)s, %(matures_at)s, %(champion_version)s, %(n)s,
    %(score)s, %(difference)s
)
on conflict do nothing;
