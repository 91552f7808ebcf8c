-- Which bars were learned since an instant: deliveries are appended, so that a range of pages holds few instants, and the
-- index is some kilobytes. Years in the archive get it when they come back.
create index if not exists bars_by_knowledge on market.bars using brin (known_at) with (autosummarize = on);
create index if not exists bar_revisions_by_knowledge on market.bar_revisions using brin (known_at) with (autosummarize = on);
