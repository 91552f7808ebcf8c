-- Every prediction that a champion ever published; serving.canary has those of challengers. `is_final` marks the last
-- word on its night; earlier words of the same night stay.
create or replace view serving.prediction_history as
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
where q.role = 'champion';
