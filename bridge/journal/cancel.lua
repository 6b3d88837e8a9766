-- Ask a job to stop. Its sender learns it with the reply to its next publication.
--
-- KEYS  1 the job's state (hash)
-- Reply "ok" | "unknown" | "finished"

local rank = redis.call('HMGET', KEYS[1], 'epoch', 'rank')
if not rank[1] then return 'unknown' end
if rank[2] == '3' then return 'finished' end
redis.call('HSET', KEYS[1], 'cancel', '1')
return 'ok'
