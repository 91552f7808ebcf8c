-- Nothing when the version has said its word on the night before.
insert into lifecycle.shadow_predictions (
    domain, target, model_version, as_of, role, entity, p_up, expected_return
)
select %(domain)s, %(target)s, %(version)s, %(as_of)s, %(role)s, entity, p_up, expected_return
from incoming_shadows
where not exists (
    select
    from lifecycle.shadow_predictions
    where domain = %(domain)s and target = %(target)s and model_version = %(version)s and as_of = %(as_of)s
)
on conflict do nothing;
