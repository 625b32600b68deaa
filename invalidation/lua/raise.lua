-- Put a writer's fence up on its tags and replace their stamps.
--
-- KEYS    [1] the set of fenced tags' keys, [2…] the keys of the tags
-- ARGV    [1] the writer's token
--         [2] the new stamp
--         [3] a prefix of tokens that are known to have ended, or "" (a SQLite writer holds the write lock of its
--             file: every other writer of that file has ended)
-- returns the number of fences that now stand on the first tag
--
-- Atomic, because a tag holds a set of tokens in one value: read, add and write must not interleave with another
-- writer's, or one of the two fences would be lost.
-- A value is "stamp" or "stamp token token …". It loses its TTL: a fence may not expire while its commit can happen.
local standing = 0
for i = 2, #KEYS do
  local key = KEYS[i]
  local parts = { ARGV[2] }
  local value = redis.call('GET', key)
  if value then
    local first = true
    for part in string.gmatch(value, '%S+') do
      if not first and part ~= ARGV[1] and (ARGV[3] == '' or string.sub(part, 1, #ARGV[3]) ~= ARGV[3]) then
        parts[#parts + 1] = part
      end
      first = false
    end
  end
  parts[#parts + 1] = ARGV[1]
  redis.call('SET', key, table.concat(parts, ' '))
  redis.call('SADD', KEYS[1], key)
  if i == 2 then standing = #parts - 1 end
end
return standing
