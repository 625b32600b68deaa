-- The epoch of this run of the server; a missing one, or one of another run, is replaced by a new one in quarantine.
--
-- KEYS    [1] the epoch
-- ARGV    [1] the run_id of the server this connection leads to
--         [2] a random part for a new epoch
--         [3] "1" to begin a new epoch in any case
-- returns the epoch: "run_id:random", or "run_id:random:quarantine"
--
-- Atomic: of several processes that find it missing, one begins the quarantine and all see the same.
local value = redis.call('GET', KEYS[1])
if ARGV[3] ~= '1' and value and string.sub(value, 1, #ARGV[1] + 1) == ARGV[1] .. ':' then return value end
value = ARGV[1] .. ':' .. ARGV[2] .. ':quarantine'
redis.call('SET', KEYS[1], value)
return value
