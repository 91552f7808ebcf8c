insert into lifecycle.predictions (
    publication_id, domain, as_of,
    entity, target, matures_at, model_version, has_skill, p_up, direction, confidence, expected_return,
    return_lower, return_upper, return_lower_95, return_upper_95, return_stop, price, price_target, price_lower,
    price_upper, price_stop, target_probability, risk_score, similar_share_up, similar_dates, dissimilarity,
    is_outlier, members, reasons, role
)
select
    %(publication_id)s, %(domain)s, %(as_of)s,
    entity, target, matures_at, model_version, has_skill, p_up, direction, confidence, expected_return,
    return_lower, return_upper, return_lower_95, return_upper_95, return_stop, price, price_target, price_lower,
    price_upper, price_stop, target_probability, risk_score, similar_share_up, similar_dates, dissimilarity,
    is_outlier, members, reasons, role
from incoming_predictions;
