-- Without the reasons, which are long: serving_explanations has those of one symbol.
select
    domain, symbol, horizon, as_of, matures_at, p_up, direction, confidence, expected_return, return_lower, return_upper,
    return_lower_95, return_upper_95, return_stop, price, price_target, price_lower, price_upper, price_stop,
    target_probability, risk_score, similar_share_up, similar_dates, dissimilarity, is_outlier, members, model_version,
    has_skill, data_cutoff, published_at, is_stale, is_replay
from serving.latest_predictions
where (%(symbol)s::text is null or symbol = %(symbol)s)
    and (%(horizon)s::text is null or horizon = %(horizon)s)
order by domain, symbol, matures_at;
