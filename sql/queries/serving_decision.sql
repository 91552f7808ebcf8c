-- One decision with its evidence, and what is known of both versions.
select
    p.*,
    to_jsonb(c) - array['recipe', 'importance'] as candidate,
    to_jsonb(m) - array['recipe', 'importance'] as champion
from serving.promotions p
left join serving.models c
    on c.domain = p.domain and c.horizon = p.horizon and c.model_version = p.candidate_version
left join serving.models m
    on m.domain = p.domain and m.horizon = p.horizon and m.model_version = p.champion_version
where p.decision_id = %(decision_id)s;
