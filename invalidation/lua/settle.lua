-- End a quarantine that was proven to be over.
--
-- KEYS    [1] the epoch
-- ARGV    [1] the epoch in quarantine for which the proof was made, [2] the epoch without quarantine
-- returns 1 if it ended now, else 0
--
-- Atomic: a quarantine that began after the proof is not ended by it.
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2])
return 1
