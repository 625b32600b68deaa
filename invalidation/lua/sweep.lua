-- Remove some of the dead entries that an index lists.
--
-- KEYS    [1] the set of indexes that list dead entries, [2] one of them
-- ARGV    [1] how many to remove at most
-- returns the number removed
--
-- Atomic: the index leaves the set only when it is empty. An entry that lives again is removed with the dead: that
-- costs a miss.
local entries = redis.call('SPOP', KEYS[2], ARGV[1])
if #entries > 0 then redis.call('UNLINK', unpack(entries)) end
if redis.call('EXISTS', KEYS[2]) == 0 then redis.call('SREM', KEYS[1], KEYS[2]) end
return #entries
