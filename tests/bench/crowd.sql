-- What a long time leaves behind; crowd.py reads this. `g` numbers the attempts, every tenth is the second one at its order.
-- {at} is the moment of attempt g; one attempt in {stuck} got stuck.

INSERT INTO orders (id, shop_id, reference, is_verified, amount, currency, customer_email, created_at, paid_at)
    SELECT g, 1 + g %% %(shops)s, 'O-' || g, g %% 20 > 0, 900 + g * 37 %% 90000, 'EUR', 'c' || g || '@example.com',
    {at}, CASE WHEN g %% 10 > 0 THEN {at} END
    FROM generate_series(1, %(attempts)s * 9 / 10) g;

INSERT INTO attempts (id, shop_id, key, order_id, amount, currency, email, method, provider, payment, stage,
    stage_seq, facts, user_agent, address, device, counted, started_at, last_seen_at)
    SELECT g, 1 + o %% %(shops)s, md5(g::text), o, 900 + o * 37 %% 90000, 'EUR', 'c' || o || '@example.com',
    (%(methods)s::text[])[1 + g %% 6], 'demo', 'pay_' || g,
    CASE WHEN g %% 10 > 0 THEN 'paid' WHEN g %% 20 = 0 THEN 'failed' ELSE 'left' END, 3,
    %(facts)s::jsonb, %(agent)s, md5('a' || g %% 200000), md5('d' || g %% 400000), 'worked',
    {at}, {at}
    FROM (SELECT g, CASE WHEN g <= %(attempts)s * 9 / 10 THEN g ELSE g - %(attempts)s * 9 / 10 END AS o
    FROM generate_series(1, %(attempts)s) g) numbered;

INSERT INTO signals (attempt_id, seq, name, at, data)
    SELECT g, seq, 'stage', {at}, jsonb_build_object('stage', (ARRAY['started','submitted','confirming'])[seq + 1])
    FROM generate_series(1, %(attempts)s) g, generate_series(0, 2) seq;

INSERT INTO stalls (attempt_id, kind, stage, seen_by, evidence, at)
    SELECT g, (ARRAY['no_answer','declined','wallet','frozen','sdk'])[1 + g %% 5], 'submitted', 'page',
    '{"seconds": 12.5, "host": "api.provider.example"}', {at}
    FROM generate_series(1, %(attempts)s, {stuck}) g;

INSERT INTO charges (attempt_id, state, amount, currency, provider, payment, detail, is_reversed, answered_at)
    SELECT g, CASE WHEN g %% 3 = 0 THEN 'charged' ELSE 'not_charged' END, 900 + g * 37 %% 90000, 'EUR', 'demo',
    'pay_' || g, 'As the provider says.', false, {at}
    FROM generate_series(1, %(attempts)s, {stuck}) g;

INSERT INTO offers (attempt_id, kind, shown_at, place, why, cause, device_class, choice, chosen_at, worked_at,
    counted_at)
    SELECT g, (ARRAY['retry','method','payment_link','device','person','report'])[1 + place], {at}, place,
    'It works now.', (ARRAY['no_answer','declined','wallet','frozen','sdk'])[1 + g %% 5], 'phone',
    CASE WHEN place = 1 THEN 'paypal' END, CASE WHEN place = g %% 3 THEN {at} END,
    CASE WHEN place = g %% 3 AND g %% 2 = 0 THEN {at} END, {at} + interval '1 hour'
    FROM generate_series(1, %(attempts)s, {stuck}) g, generate_series(0, 5) place;

INSERT INTO payments (shop_id, order_id, key, source, amount, currency, method, payment, at)
    SELECT 1 + g %% %(shops)s, g, 'shop:' || g, 'shop', 900 + g * 37 %% 90000, 'EUR', 'card', 'pay_' || g, {at}
    FROM generate_series(1, %(attempts)s * 9 / 10) g WHERE g %% 10 > 0;

INSERT INTO tickets (shop_id, reference, attempt_id, order_id, email, locale, status, opened_at, answer_due_at,
    changed_at)
    SELECT 1 + g %% %(shops)s, 'T' || g, g, g, 'c' || g || '@example.com', 'en', 'resolved', {at},
    {at} + interval '1 day', {at}
    FROM generate_series(1, %(attempts)s * 9 / 10, 96) g;

INSERT INTO health_cells (shop_id, since, method, provider, browser, os, device, worked, failed, declined, latency)
    SELECT shop, date_trunc('hour', now()) - interval '15 minutes' * slot, method, 'demo', browser, os, 'phone',
    3 + slot %% 5, slot %% 2, slot %% 3, '{"40": 3, "44": 2}'
    FROM generate_series(1, %(shops)s) shop, generate_series(-3, 500) slot, unnest(%(methods)s::text[]) method,
    (VALUES ('Chrome', 'Android'), ('Safari', 'iOS'), ('Chrome', 'Windows')) kin (browser, os);

INSERT INTO tallies (shop_id, cause, device_class, offer, worked, failed, passed, late, fall, rise, changed_at)
    SELECT shop, cause, device, offer, 12, 15, 30, 0, 0, 0, now() - interval '1 hour'
    FROM generate_series(1, %(shops)s) shop, unnest(ARRAY['','no_answer','declined','wallet','frozen','sdk']) cause,
    unnest(ARRAY['','phone','desktop','tablet']) device,
    unnest(ARRAY['retry','method:card','method:paypal','payment_link','device','transfer','later']) offer;

INSERT INTO sightings (shop_id, attempt_id, key, outcome, address, device, order_id, reference, is_verified, amount,
    currency, at)
    SELECT shop_id, id, id::text, 'opened', address, device, order_id, 'O-' || order_id, true, amount, currency,
    now() - interval '1 day' * (%(attempts)s - id) / (%(attempts)s / 5)
    FROM attempts WHERE id > %(attempts)s - %(attempts)s / 5;
