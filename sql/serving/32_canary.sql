-- Both words on every symbol that a challenger served, the champion's and the challenger's; columns of the history.
create or replace view serving.canary as
select
    q.domain,
    q.entity as symbol,
    q.target as horizon,
    q.as_of,
    q.matures_at,
    q.p_up,
    q.direction,
    q.confidence,
    q.expected_return,
    q.return_lower,
    q.return_upper,
    q.price,
    q.price_target,
    q.price_lower,
    q.price_upper,
    q.model_version,
    q.has_skill,
    p.data_cutoff,
    p.published_at,
    q.publication_id,
    p.is_final,
    p.is_stale,
    p.is_replay,
    q.return_lower_95,
    q.return_upper_95,
    q.return_stop,
    q.price_stop,
    q.target_probability,
    q.risk_score,
    q.similar_share_up,
    q.similar_dates,
    q.dissimilarity,
    q.is_outlier,
    q.members,
    q.reasons,
    q.role
from lifecycle.predictions q
join serving.publications p using (publication_id)
where exists (
    select
    from lifecycle.predictions c
    where c.publication_id = q.publication_id and c.entity = q.entity and c.target = q.target and c.role = 'challenger'
);
