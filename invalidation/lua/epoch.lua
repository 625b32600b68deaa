-- The epoch of this run of the server; a missing one, or one of another run, is replaced by a new one in quarantine.
--
-- KEYS    [1] the epoch
-- ARGV    [1] the run_id of the server this connection leads to
--         [2] a random part for a new epoch
--         [3] "ensure" to leave a good one alone, "renew" to begin a new one in any case, in quarantine only if the
--             present one is not believable or is in quarantine itself, "quarantine" to begin a new one in quarantine
-- returns the epoch: "run_id:random", or "run_id:random:quarantine"
--
-- Atomic: of several processes that find it missing, one begins the quarantine and all see the same.
local value = redis.call('GET', KEYS[1])
local believable = value and string.sub(value, 1, #ARGV[1] + 1) == ARGV[1] .. ':'
if ARGV[3] == 'ensure' and believable then return value end
local next = ARGV[1] .. ':' .. ARGV[2]
if ARGV[3] ~= 'renew' or not believable or string.sub(value, -11) == ':quarantine' then next = next .. ':quarantine' end
redis.call('SET', KEYS[1], next)
return next
