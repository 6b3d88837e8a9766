-- Read a job's state and its events after a seq, in one consistent step.
--
-- KEYS  1 the job's state (hash)   2 the job's events (stream)
-- ARGV  1 since (a seq; -1: no events)   2 how many bytes of events at the most
-- Reply {srev, run, seq, epoch, runs, tail, {name, payload, name, payload, ...}, gap, rid},
--       or an empty list where nothing is known. srev is "" where no state is known.

-- So many events are copied out of the stream at a time, whatever their size.
local PAGE = 32

local function whole(number) return string.format('%.0f', number) end
local function rev_of(entry) return tonumber(string.match(entry[1], '^%d+')) end
local function seq_of(entry) return tonumber(entry[2][2]) end
local function page_from(rev, count)
  return redis.call('XRANGE', KEYS[2], whole(rev), '+', 'COUNT', count)
end

-- Where to begin: no event after `since` has a lower rev than this one, and those before it that are
-- not wanted fit into a page.
local function first_rev(since, seq)
  local newest = redis.call('XREVRANGE', KEYS[2], '+', '-', 'COUNT', whole(math.min(PAGE, seq - since)))
  local entry = newest[#newest]
  if not entry then return 0 end
  if #newest < PAGE or seq_of(entry) <= since + 1 then return rev_of(entry) end
  -- Far behind: halve what lies between a rev too low and one that is not, instead of reading it all.
  local low, high = 0, rev_of(entry)
  while high - low > 1 do
    local middle = math.floor((low + high) / 2)
    if seq_of(page_from(middle, 1)[1]) > since then high = middle else low = middle end
  end
  return high
end

local f = redis.call('HMGET', KEYS[1], 'srev', 'run', 'seq', 'epoch', 'past', 'cur', 'tail', 'rid')
if not f[4] then return {} end
local since, budget = tonumber(ARGV[1]), tonumber(ARGV[2])
local seq = tonumber(f[3] or 0)
local past, current = f[5] or '', f[6] or ''
local runs = string.gsub(past .. current, '\n', ',')
if current == '' then runs = string.gsub(runs, ',$', '') end

local events, gap = {}, 0
if since > seq then
  gap = 1  -- the client saw events of a journal that was lost
  since = 0
end
if since >= 0 and since < seq then
  local from, first = first_rev(since, seq), seq + 1
  repeat
    local page = page_from(from, PAGE)
    for _, entry in ipairs(page) do
      if seq_of(entry) > since and budget >= 0 then
        local name, payload = entry[2][4], entry[2][6]
        first = math.min(first, seq_of(entry))
        budget = budget - #payload
        if budget >= 0 or #events == 0 then
          events[#events + 1] = name
          events[#events + 1] = payload
        end
      end
      from = rev_of(entry) + 1
    end
  until budget < 0 or #page < PAGE
  if first > since + 1 then gap = 1 end
end

return {f[1] or '', f[2] or '0', f[3] or '0', f[4], runs, f[7] or '', events, gap, f[8] or ''}
