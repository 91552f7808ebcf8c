-- What a champion published of the symbols of a canary's arm, with what its challenger said of them.
select q.entity, q.p_up, q.expected_return, s.p_up as shadow_p_up, s.expected_return as shadow_expected_return
from lifecycle.predictions q
join lifecycle.predictions s using (publication_id, entity, target)
where q.publication_id = %(publication_id)s
    and q.target = %(target)s
    and q.role = 'champion'
    and s.role = 'challenger'
    and s.model_version = %(model_version)s
order by q.entity;
