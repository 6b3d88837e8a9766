-- Journal and publish one state or event of a job, atomically.
--
-- KEYS  1 the job's state (hash)   2 the job's events (stream)
--       3 the index of all jobs   4, 5 the root's and the user's, as far as there are any (sorted sets)
-- ARGV  in the order of the locals below
-- Reply {status, rev, seq, run, receivers, cancel}; status ok | dup | stale; where another message
--       queue carries it, the frame and the root's and the user's channel follow.
--
-- Fields of the state hash: rev (of the last message), srev (of the last state), run, rid (the run's
-- nonce), att, rank, seq, epoch, tail (the record but for our numbers), cur (the open run's entry),
-- past (the ended runs' entries, one a line), rc and uc (the root's and user's channels), cancel,
-- lease (of the process that executes the run), verdict ("LOST" or "FAILURE", while a sweep's word
-- about a dead worker stands), red ("1": the run was redelivered), older (the nonces and numbers of
-- the runs that were superseded), and p:<nonce>, the last publication of a process with what was
-- answered to it.

local job, kind, body, head = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local run_id, run, start = ARGV[5], tonumber(ARGV[6]), ARGV[7] == '1'
local attempt, rank, entry = tonumber(ARGV[8]), tonumber(ARGV[9]), ARGV[10]
local floor, nonce, n, expect = tonumber(ARGV[11]), ARGV[12], tonumber(ARGV[13]), ARGV[14]
local channel, root_channel, user_channel = ARGV[15], ARGV[16], ARGV[17]
local retention, events_kept = ARGV[18], ARGV[19]
local name, skipped = ARGV[20], tonumber(ARGV[21])
local lease, lease_prefix, running = ARGV[22], ARGV[23], ARGV[24]
local verdict, beat = ARGV[25], ARGV[26]
local seq_floor, ended, redelivered = tonumber(ARGV[27]), ARGV[28] == '1', ARGV[29] == '1'
local carried, again = ARGV[30] == '1', ARGV[31] == '1'

local RUNS_KEPT = 20
local SENDERS_REMEMBERED = 64
local INDEX_KEPT = 10000

local function whole(x) return string.format('%.0f', x) end

local memory = 'p:' .. nonce
local f = redis.call('HMGET', KEYS[1], 'rev', 'srev', 'run', 'rid', 'att', 'rank', 'seq', 'epoch',
                     'cur', 'past', 'rc', 'uc', 'cancel', memory, 'verdict', 'lease', 'red', 'older')
local stored_rev = tonumber(f[1] or 0)
local stored_run, stored_id = tonumber(f[3] or 0), f[4] or ''
local stored_attempt, stored_rank = tonumber(f[5] or 0), tonumber(f[6] or -1)
local seq = tonumber(f[7] or 0)
local epoch = tonumber(f[8] or 0)
local current, past = f[9] or '', f[10] or ''
local cancel = f[13] and 1 or 0
local stored_redelivered, older = f[17] == '1', f[18] or ''

local function reply(status, rev, run_now, receivers)
  return {status, whole(rev), whole(seq), whole(run_now), receivers, cancel}
end

-- A repeat, because the reply to the first was lost.
if f[14] then
  local last, rev, last_seq = string.match(f[14], '^(%d+) (%d+) (%d+)$')
  if n == tonumber(last) then
    return {'dup', rev, last_seq, whole(stored_run), 0, cancel}
  elseif n < tonumber(last) then
    return reply('dup', stored_rev, stored_run, 0)
  end
end

-- Compare-and-set is on the state and on whose it is.
if expect ~= '' and (expect ~= (f[2] or '0') or (stored_id ~= '' and run_id ~= stored_id)) then
  return reply('stale', stored_rev, stored_run, 0)
end
if verdict ~= '' and (stored_rank ~= 1 or lease ~= f[16]
    or (redis.call('GET', lease_prefix .. lease) or '') ~= beat) then
  return reply('stale', stored_rev, stored_run, 0)
end
-- After a sweep gave the job up, a start is a new life, and not an attempt that comes late.
local given_up = f[15] == 'FAILURE'

-- Whose run speaks?
local new_run = false
local superseded
if run_id ~= '' then
  local _, before = string.find(older, ' ' .. run_id .. '=', 1, true)
  superseded = before and string.match(older, '^%d+', before + 1)
end
if run_id == '' then
  run = stored_run
elseif run_id == stored_id then
  run = stored_run
elseif stored_rank < 1 and not superseded then
  -- Nothing ran yet, or the journal was lost.
  run = math.max(stored_run + 1, run, attempt + 1)
  new_run = true
elseif start and not superseded then
  -- A run that the journal hears of for the first time: is it newer, or just late? An end may be
  -- the only word of it, and must not reopen what a later run has ended.
  local earlier = attempt < stored_attempt
      or (attempt == stored_attempt and stored_redelivered and not redelivered)
  if earlier and not given_up and (stored_rank < 3 or ended) then
    return reply('stale', stored_rev, stored_run, 0)
  end
  run = math.max(stored_run + 1, run, attempt + 1)
  new_run = true
elseif run > stored_run and not superseded then
  new_run = true
else
  -- A run that was superseded: only its line in the history is still its own.
  run = tonumber(superseded) or run
  if rank >= 2 and run > 0 then
    local line = '{"run":' .. whole(run) .. ','
    local from = string.find('\n' .. past, '\n' .. line, 1, true)
    if from then
      local to = string.find(past, '\n', from, true)
      past = string.sub(past, 1, from - 1) .. line .. entry .. string.sub(past, to)
      redis.call('HSET', KEYS[1], 'past', past)
    end
  end
  return reply('stale', stored_rev, stored_run, 0)
end

if kind == 'state' then
  if rank == 0 and stored_rank >= 0 then
    return reply('stale', stored_rev, stored_run, 0)
  end
  -- An end may be told once more, unchanged, above what screens saw of a journal that was lost.
  local lifted = again and expect ~= '' and rank == stored_rank and floor >= stored_rev
  if not new_run and (rank < stored_rank or stored_rank == 3) and not lifted then
    return reply('stale', stored_rev, stored_run, 0)
  end
end

local now = redis.call('TIME')
local clock = tonumber(now[1]) * 1000000 + tonumber(now[2])
-- What was told before, and may be lost, comes back to its place: what was told since is newer.
local rev = math.max(stored_rev + 1, floor + 1, again and floor > 0 and 0 or clock)
-- The sender was told of a rev that is not here: a failover lost the last writes. The numbers of the
-- events go on above those that were told, and the epoch says that what was between is gone.
-- So it did where somebody else, who was told of nothing, has given one of these numbers again.
local went_back = stored_rev > 0
    and (floor > stored_rev or (seq_floor > seq and floor >= epoch))
if went_back then seq = math.max(seq, seq_floor) end
if epoch == 0 or went_back then epoch = rev end

if new_run then
  if stored_rank == 3 then
    redis.call('HDEL', KEYS[1], 'cancel')
    cancel = 0
  end
  if current ~= '' then
    -- A run that has not said its end was lost with its worker, unless it is being tried again:
    -- its RETRY is then only late.
    if stored_rank < 2 then
      local ended = attempt > stored_attempt and 'RETRY' or 'LOST'
      current = string.gsub(current, '"state":"[A-Z]+"', '"state":"' .. ended .. '"')
    end
    past = past .. current .. '\n'
    local _, count = string.gsub(past, '\n', '')
    while count >= RUNS_KEPT do
      past = string.gsub(past, '^[^\n]*\n', '', 1)
      count = count - 1
    end
  end
  current = ''
  if stored_id ~= '' then
    older = older .. ' ' .. stored_id .. '=' .. whole(stored_run)
    local _, count = string.gsub(older, ' ', '')
    if count > RUNS_KEPT then older = string.gsub(older, '^ [^ ]*', '', 1) end
  end
  redis.call('HSET', KEYS[1], 'older', older, 'red', redelivered and '1' or '0')
end

local payload
if kind == 'state' then
  if entry ~= '' then current = '{"run":' .. whole(run) .. ',' .. entry end
  local runs = string.gsub(past .. current, '\n', ',')
  if current == '' then runs = string.gsub(runs, ',$', '') end
  payload = '{"rev":' .. whole(rev) .. ',"run":' .. whole(run) .. ',"last_seq":' .. whole(seq)
      .. ',"epoch":' .. whole(epoch) .. ',"runs":[' .. runs .. '],' .. body
  redis.call('HSET', KEYS[1], 'rev', whole(rev), 'srev', whole(rev), 'run', whole(run),
             'rid', run_id == '' and stored_id or run_id, 'att', math.max(attempt, 0),
             'rank', rank, 'seq', whole(seq), 'epoch', whole(epoch), 'tail', body,
             'cur', current, 'past', past, 'verdict', verdict,
             memory, whole(n) .. ' ' .. whole(rev) .. ' ' .. whole(seq))
  if (lease ~= '' or new_run) and verdict == '' then redis.call('HSET', KEYS[1], 'lease', lease) end
  if rank == 1 and verdict ~= 'FAILURE' then
    if new_run or stored_rank ~= 1 or given_up then
      redis.call('ZADD', running, now[1], job)
      redis.call('PEXPIRE', running, retention)
    end
  else
    redis.call('ZREM', running, job)
  end
else
  -- Events that the sender had to drop leave a hole, so that clients are told.
  seq = seq + 1 + skipped
  payload = '{"job":"' .. job .. '","rev":' .. whole(rev) .. ',"run":' .. whole(run)
      .. ',"seq":' .. whole(seq) .. ',' .. body
  redis.call('HSET', KEYS[1], 'rev', whole(rev), 'run', whole(run), 'seq', whole(seq),
             'epoch', whole(epoch), memory, whole(n) .. ' ' .. whole(rev) .. ' ' .. whole(seq))
  if new_run then
    redis.call('HSET', KEYS[1], 'rid', run_id, 'att', attempt, 'rank', 1, 'cur', '', 'past', past,
               'lease', lease, 'verdict', '')
    redis.call('ZADD', running, now[1], job)
    redis.call('PEXPIRE', running, retention)
  end
  redis.call('XADD', KEYS[2], 'MAXLEN', '~', events_kept, whole(rev) .. '-0',
             's', whole(seq), 'n', name, 'p', payload)
end

if root_channel == '' then root_channel = f[11] or '' end
if user_channel == '' then user_channel = f[12] or '' end
if stored_rev == 0 or (root_channel ~= (f[11] or '')) or (user_channel ~= (f[12] or '')) then
  redis.call('HSET', KEYS[1], 'rc', root_channel, 'uc', user_channel)
  for i = 3, #KEYS do
    redis.call('ZADD', KEYS[i], 'NX', whole(epoch), job)
    redis.call('ZREMRANGEBYRANK', KEYS[i], 0, -INDEX_KEPT - 1)
  end
end
if redis.call('HLEN', KEYS[1]) > 20 + SENDERS_REMEMBERED then
  for _, key in ipairs(redis.call('HKEYS', KEYS[1])) do
    if string.sub(key, 1, 2) == 'p:' and key ~= memory then redis.call('HDEL', KEYS[1], key) end
  end
end
for i = 1, #KEYS do redis.call('PEXPIRE', KEYS[i], retention) end

local packet = head .. payload .. ']'
local frame = 'v1 ' .. job .. ' ' .. whole(run) .. ' ' .. whole(rev) .. ' ' .. whole(seq) .. ' '
    .. kind .. ' ' .. #packet .. '\n' .. packet
if carried then
  return {'ok', whole(rev), whole(seq), whole(run), 0, cancel, frame, root_channel, user_channel}
end
local receivers = redis.call('PUBLISH', channel, frame)
if root_channel ~= '' then receivers = receivers + redis.call('PUBLISH', root_channel, frame) end
if user_channel ~= '' then receivers = receivers + redis.call('PUBLISH', user_channel, frame) end

return reply('ok', rev, run, receivers)
