-- The version's skill is what the gate last said of it.
insert into lifecycle.decisions (
    domain, target, candidate_version, champion_version, as_of, door, verdict, reason, alpha_spent, has_skill,
    evidence, decided_by
)
select
    m.domain, m.target, m.version, %(champion_version)s, m.as_of, 'by_hand', 'promote', %(reason)s, 0,
    coalesce(
        (
            select d.has_skill
            from lifecycle.decisions d
            where d.domain = m.domain
                and d.target = m.target
                and d.candidate_version = m.version
                and d.door <> 'by_hand'
            order by d.decision_id desc
            limit 1
        ),
        false
    ),
    %(evidence)s, %(decided_by)s
from lifecycle.model_versions m
where m.domain = %(domain)s and m.target = %(target)s and m.version = %(candidate_version)s
returning *;
