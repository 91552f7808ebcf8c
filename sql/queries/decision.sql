select * from lifecycle.decisions where decision_id = %(decision_id)s;
