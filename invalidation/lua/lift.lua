-- Take tokens off tags, replace the stamps of the tags that bore one, and remove entries that died by it.
--
-- KEYS    [1] the set of fenced tags' keys, [2] the set of indexes that list dead entries, [3…] the keys of the tags
-- ARGV    [1] the new stamp
--         [2] the TTL of an unfenced tag in milliseconds
--         [3] "1" to replace the stamp also where no token was found (a writer lifting its own, as a second line:
--             its fence may have been lost with the server's memory), "0" to leave such a tag alone (a proof)
--         [4] the number of dead entries to remove at most
--         [5] the prefix of all keys
--         [6…] the tokens to take away
-- returns {number of entries removed, number of indexes that list more}
--
-- Atomic for the same reason as raise.lua: the value holds a set. A proof takes away exactly the tokens it was made
-- for: one that was raised meanwhile stays. The last token gone, the tag gets its TTL back.
-- The stamp is replaced before the index is emptied: an entry that is stored afterwards is listed anew.
local gone = {}
for i = 6, #ARGV do gone[ARGV[i]] = true end
local tags = ARGV[5] .. ':tag:'
local left = tonumber(ARGV[4])
local removed, dirty = 0, 0
for i = 3, #KEYS do
  local key = KEYS[i]
  local value = redis.call('GET', key)
  if value then
    local parts, found, first = { ARGV[1] }, false, true
    for part in string.gmatch(value, '%S+') do
      if first then first = false
      elseif gone[part] then found = true
      else parts[#parts + 1] = part end
    end
    if found or ARGV[3] == '1' then
      if #parts == 1 then
        redis.call('SET', key, parts[1], 'PX', ARGV[2])
        redis.call('SREM', KEYS[1], key)
      else redis.call('SET', key, table.concat(parts, ' ')) end
      local index = ARGV[5] .. ':index:' .. string.sub(key, #tags + 1)
      if left > 0 then
        local entries = redis.call('SPOP', index, math.min(left, 1000))
        if #entries > 0 then
          redis.call('UNLINK', unpack(entries))
          removed = removed + #entries
          left = left - #entries
        end
      end
      if redis.call('EXISTS', index) == 1 then
        redis.call('SADD', KEYS[2], index)
        dirty = dirty + 1
      end
    end
  end
end
return { removed, dirty }
