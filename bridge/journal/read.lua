-- Read a job's state and its events after a seq, in one consistent step.
--
-- KEYS  1 the job's state (hash)   2 the job's events (stream)
-- ARGV  1 since (a seq; -1: no events)   2 how many bytes of events at the most
-- Reply {srev, run, seq, epoch, runs, tail, {name, payload, name, payload, ...}, gap, rid},
--       or an empty list where nothing is known. srev is "" where no state is known.

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
  local newest = redis.call('XREVRANGE', KEYS[2], '+', '-', 'COUNT', string.format('%.0f', seq - since))
  local oldest = #newest
  while oldest > 0 and tonumber(newest[oldest][2][2]) <= since do oldest = oldest - 1 end
  local first = oldest > 0 and tonumber(newest[oldest][2][2]) or seq + 1
  if first > since + 1 then gap = 1 end
  for i = oldest, 1, -1 do
    local name, payload = newest[i][2][4], newest[i][2][6]
    budget = budget - #payload
    if budget < 0 and #events > 0 then break end
    events[#events + 1] = name
    events[#events + 1] = payload
  end
end

return {f[1] or '', f[2] or '0', f[3] or '0', f[4], runs, f[7] or '', events, gap, f[8] or ''}
