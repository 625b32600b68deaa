-- Take tokens off tags and replace the stamps of the tags that bore one.
--
-- KEYS    the keys of the tags
-- ARGV    [1] the new stamp
--         [2] the TTL of an unfenced tag in milliseconds
--         [3] "1" to replace the stamp also where no token was found (a writer lifting its own, as a second line:
--             its fence may have been lost with the server's memory), "0" to leave such a tag alone (a proof)
--         [4…] the tokens to take away
-- returns the number of tags from which a token was taken
--
-- Atomic for the same reason as raise.lua: the value holds a set. A proof takes away exactly the tokens it was made
-- for: one that was raised meanwhile stays.
-- The last token gone, the tag gets its TTL back.
local gone = {}
for i = 4, #ARGV do gone[ARGV[i]] = true end
local changed = 0
for _, key in ipairs(KEYS) do
  local value = redis.call('GET', key)
  if value then
    local parts, found, first = { ARGV[1] }, false, true
    for part in string.gmatch(value, '%S+') do
      if first then first = false
      elseif gone[part] then found = true
      else parts[#parts + 1] = part end
    end
    if found then changed = changed + 1 end
    if found or ARGV[3] == '1' then
      if #parts == 1 then redis.call('SET', key, parts[1], 'PX', ARGV[2])
      else redis.call('SET', key, table.concat(parts, ' ')) end
    end
  end
end
return changed
