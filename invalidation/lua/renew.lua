-- Keep a lease for longer while its computation goes on.
--
-- KEYS    [1] the lease
-- ARGV    [1] the token of the computation, [2] milliseconds
-- returns 1 if the lease was still held, else 0
--
-- Atomic: compared and renewed together, or another's lease could be renewed.
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return 1
