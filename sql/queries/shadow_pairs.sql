-- What a champion published of a night, with what a version said in its shadow; null where it said nothing.
select q.entity, q.p_up, q.expected_return, s.p_up as shadow_p_up, s.expected_return as shadow_expected_return
from lifecycle.predictions q
left join lifecycle.shadow_predictions s
    on s.domain = q.domain
        and s.target = q.target
        and s.model_version = %(model_version)s
        and s.as_of = q.as_of
        and s.entity = q.entity
where q.publication_id = %(publication_id)s and q.target = %(target)s and q.role = 'champion'
order by q.entity;
