-- One row when the version's word on a night is kept.
select model_version
from lifecycle.shadow_predictions
where domain = %(domain)s and target = %(target)s and model_version = %(version)s and as_of = %(as_of)s
limit 1;
