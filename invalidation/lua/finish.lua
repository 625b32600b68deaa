-- End a computation: store its entry, publish it to those who wait, give the lease back.
--
-- KEYS    [1] the lease, [2] the result, [3] the mark that somebody waits, [4] the entry, [5…] the indexes of its tags
-- ARGV    [1] the token of this computation
--         [2] what was computed, or "" for nothing
--         [3] how long a published result is kept, in milliseconds
--         [4] how long the entry is kept, in milliseconds; "0" not to store it
--         [5] the number of entries an index lists at most
-- returns 1 if the lease was still held, else 0
--
-- Atomic: only the present holder may publish. A holder whose lease ran out began before the one who has it now, and
-- a waiter that arrived in between would take an older answer for a newer one. The entry may be stored in any case:
-- it carries the stamps taken before its first query.
-- An index lives as long as the longest-lived entry it lists; past its bound, entries are left to their TTL.
if ARGV[2] ~= '' and ARGV[4] ~= '0' then
  redis.call('SET', KEYS[4], ARGV[2], 'PX', ARGV[4])
  for i = 5, #KEYS do
    if redis.call('SCARD', KEYS[i]) < tonumber(ARGV[5]) then
      redis.call('SADD', KEYS[i], KEYS[4])
      if redis.call('PTTL', KEYS[i]) < tonumber(ARGV[4]) then redis.call('PEXPIRE', KEYS[i], ARGV[4]) end
    end
  end
end
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
if ARGV[2] ~= '' and redis.call('EXISTS', KEYS[3]) == 1 then
  redis.call('SET', KEYS[2], ARGV[2], 'PX', ARGV[3])
  redis.call('DEL', KEYS[3])
end
redis.call('DEL', KEYS[1])
return 1
