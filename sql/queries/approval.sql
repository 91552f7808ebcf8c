select * from lifecycle.approvals where decision_id = %(decision_id)s;
