insert into lifecycle.predictions (
    publication_id, domain, as_of, entity, target, matures_at, model_version, has_skill, p_up, direction, confidence,
    expected_return, return_lower, return_upper, price, price_target, price_lower, price_upper
)
select
    %(publication_id)s, %(domain)s, %(as_of)s, entity, target, matures_at, model_version, has_skill, p_up, direction,
    confidence, expected_return, return_lower, return_upper, price, price_target, price_lower, price_upper
from incoming_predictions;
