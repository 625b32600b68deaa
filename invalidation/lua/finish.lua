-- Give the lease back and publish what was computed under it.
--
-- KEYS    [1] the lease, [2] the result
-- ARGV    [1] the token of this computation
--         [2] the result to publish, or "" for none
--         [3] how long it is kept, in milliseconds
-- returns 1 if the lease was still held, else 0
--
-- Atomic: only the present holder may publish. A holder whose lease ran out began before the one who has it now, and
-- a waiter that arrived in between would take an older answer for a newer one.
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
if ARGV[2] ~= '' then redis.call('SET', KEYS[2], ARGV[2], 'PX', ARGV[3]) end
redis.call('DEL', KEYS[1])
return 1
