-- The champions' finished predictions of the last published night, one row per symbol and horizon.
create or replace view serving.latest_predictions as
select * from lifecycle.latest_published where role = 'champion';
