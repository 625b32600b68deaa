-- Begin a computation: give each tag that has no stamp one, and try to take the lease.
--
-- KEYS    [1] the lease, [2] the epoch, [3…] the tags
-- ARGV    [1] the token of this computation
--         [2] how long the lease lasts without renewal, in milliseconds
--         [3] the TTL of a minted tag in milliseconds
--         [4] a new stamp
-- returns {holder of the lease, epoch or false, value of tag 1, value of tag 2, …}
--
-- Atomic, so that the stamps returned are those that stand while the lease is held. The epoch is never minted here: a
-- missing epoch means that the server forgot, and fences with it.
local holder = redis.call('GET', KEYS[1])
if not holder then
  redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
  holder = ARGV[1]
end
local answer = { holder, redis.call('GET', KEYS[2]) }
for i = 3, #KEYS do
  local value = redis.call('GET', KEYS[i])
  if not value then
    redis.call('SET', KEYS[i], ARGV[4], 'PX', ARGV[3])
    value = ARGV[4]
  end
  answer[#answer + 1] = value
end
return answer
