-- The versions whose word on a night is kept.
select distinct model_version
from lifecycle.shadow_predictions
where domain = %(domain)s and target = %(target)s and as_of = %(as_of)s;
