/**
 * What is held, in Lua. The record of a charge lies in the slot of its counter, so that both change in one script: units,
 * when they count no more and until when something may be done with them, as big-endian doubles, then the ids of the
 * decisions that it belongs to, each after its length: the first one's, and those of retries with its deduplication id.
 * The list of a decision says where its records are.
 */
export const holdsLua = `
-- A retry that comes more often than that finds its charge by the ids of those before it.
local maxIds = 16

local function isOf(held, id)
  local at = 25
  while at <= #held do
    local other, after = struct.unpack('>I2c0', held, at)
    if other == id then return true end
    at = after
  end
  return false
end

local function text(number) return string.format('%.17g', number) end

-- How long a key that matters for so many milliseconds is kept. Where a test hands in the time, Redis cannot know.
local function lasting(ms)
  return ARGV[1] ~= '' and 3600000 or min(ceil(ms) + 1000, 1e14)
end

local function list(key, entry, ms)
  redis.call('RPUSH', key, entry)
  if redis.call('PTTL', key) < ms then redis.call('PEXPIRE', key, ms) end
end

-- After a charge was granted, now or before: the state stands behind it.
local function remember(charge, s)
  local hold, r = charge.hold, charge.answer
  local own = struct.pack('>I2c0', #hold.id, hold.id)
  local lasts = hold.lease and charge.l.window * 17 / 16 or hold.lasts
  if r[1] == 2 then
    local held = redis.call('GET', hold.record)
    if not held or isOf(held, hold.id) or #held > 24 + maxIds * #own then return end
    redis.call('APPEND', hold.record, own)
  else
    if hold.lease and r[2] == 0 then return end
    local units, gone = r[2], charge.c.gone(s, charge.l, now, r[2])
    local before = redis.call('GET', hold.record)
    if before and isOf(before, hold.id) then
      -- The same count twice in one decision. Where units ended at different times, the earlier ones end by themselves.
      local earlier, ends, till = struct.unpack('>ddd', before)
      if till > now and charge.c.drains then
        units, gone = units + earlier, max(ends, now) + r[2] * charge.l.window / charge.l.amount
      elseif till > now and ends == gone then
        units = units + earlier
      end
    end
    local till = hold.lease and gone or now + hold.lasts
    redis.call('SET', hold.record, struct.pack('>ddd', units, gone, till) .. own, 'PX', lasting(till - now))
  end
  if hold.list then list(hold.list, hold.entry, lasting(lasts)) end
end
`;
