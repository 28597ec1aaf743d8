/**
 * The algorithms, in Lua: the same functions over the same states as the adapter `memory` has, so that both give the
 * same answers for the same timeline. A state is a list of numbers; it is kept in Redis as big-endian doubles.
 *
 * Each counter has `width` and `format` of its state, `capacity`, `available` (brings the state to `now` and answers how many units can be taken), `take`,
 * `back`, `gone` (when units that are taken now count no more), `restore` (gives units back that were taken when `gone`
 * answered so, as far as they still count), `wait` (milliseconds until `amount` units can be taken) and `reset`
 * (milliseconds until the capacity is there again, 1e15 at most); where windows follow each other, `windowEnd` tells when the
 * state's one ends. A clock that is set forward is time that passes. One that is set back forgets nothing, and none waits
 * for it: a bucket drains on, a window ends with the next one at the latest, and where one slides all counts as taken now. Such a
 * state has `setBack` and is to be written whatever becomes of the charge. Amounts are units, times milliseconds.
 */
export const countersLua = `
local floor, ceil, max, min = math.floor, math.ceil, math.max, math.min

local function newBucket()
  local function drain(units, l)
    local left = units - l.burst * 1e-12
    if left <= 0 then return 0 end
    return min(ceil(left * l.window / l.amount), 1e15)
  end
  return {
    width = 2,
    format = '>dd',
    drains = true,
    capacity = function(l) return l.burst end,
    available = function(s, l, now)
      local elapsed = now - s[2]
      if elapsed > 0 then
        s[1] = max(0, s[1] - elapsed * l.amount / l.window)
        s[2] = now
      elseif elapsed < 0 then
        s[2], s.setBack = now, true
      end
      return l.burst - s[1]
    end,
    take = function(s, l, now, n) s[1] = s[1] + n end,
    back = function(s, l, now, n) s[1] = max(0, s[1] - n) end,
    gone = function(s, l, now, n) return now + n * l.window / l.amount end,
    restore = function(s, l, now, n, gone)
      local back = max(0, min(n, (gone - now) * l.amount / l.window, s[1]))
      s[1] = s[1] - back
      return back
    end,
    wait = function(s, l, now, n) return drain(s[1] + n - l.burst, l) end,
    reset = function(s, l, now) return drain(s[1], l) end,
  }
end

local function newFixed()
  -- The windows of a calendar come from the hub, as the beginning of one and the ends of it and of the next: the hub knows
  -- time zones, and this clock decides which of them it is.
  local function endOf(l, now)
    if not l.starts then return (floor(now / l.window) + 1) * l.window end
    if now < l.starts then return l.starts end
    local length = l.nextEnds - l.ends
    return l.ends + (floor((now - l.ends) / length) + 1) * length
  end
  -- No window ends later than the next one, unless the clock was set back.
  local function latest(l, now)
    if not l.starts then return endOf(l, now) + l.window end
    if now < l.starts then return l.ends end
    return endOf(l, now) + l.nextEnds - l.ends
  end
  return {
    width = 2,
    format = '>dd',
    capacity = function(l) return l.amount end,
    available = function(s, l, now)
      if now >= s[1] then
        s[1] = endOf(l, now)
        s[2] = 0
      elseif s[1] > latest(l, now) then
        s[1], s.setBack = latest(l, now), true
      end
      return l.amount - s[2]
    end,
    windowEnd = function(s) return s[1] end,
    take = function(s, l, now, n) s[2] = s[2] + n end,
    back = function(s, l, now, n) s[2] = max(0, s[2] - n) end,
    gone = function(s, l, now, n) return s[1] end,
    restore = function(s, l, now, n, gone)
      if s[1] ~= gone then return 0 end
      local back = min(n, s[2])
      s[2] = s[2] - back
      return back
    end,
    wait = function(s, l, now, n)
      if s[2] + n <= l.amount then return 0 end
      return ceil(s[1] - now)
    end,
    reset = function(s, l, now)
      if s[2] <= 0 then return 0 end
      return ceil(s[1] - now)
    end,
  }
end

local function newSliding()
  -- A window is cut into 16 steps; the current one and the 16 before it cover every window that ends now.
  local steps, kept = 16, 17
  local function goneAt(granted, l) return (granted + kept) * (l.window / steps) end
  local function restore(s, l, now, n, gone)
    local taken = floor(gone / (l.window / steps) + 0.5) - kept
    if taken > s[1] or s[1] - taken >= kept then return 0 end
    local at = 3 + taken % kept
    local back = min(n, s[at])
    s[at] = s[at] - back
    s[2] = max(0, s[2] - back)
    return back
  end
  return {
    width = 2 + kept,
    format = '>' .. string.rep('d', 2 + kept),
    capacity = function(l) return l.amount end,
    available = function(s, l, now)
      local current = floor(now / (l.window / steps))
      local passed = current - s[1]
      if passed > 0 then
        for i = min(passed, kept) - 1, 0, -1 do s[3 + (current - i) % kept] = 0 end
        s[1] = current
        local sum = 0
        for i = 0, kept - 1 do sum = sum + s[3 + i] end
        s[2] = sum
      elseif passed < -kept then
        -- The clock was set back by more than a window: what was taken counts as taken now.
        for i = 0, kept - 1 do s[3 + i] = 0 end
        s[1], s.setBack = current, true
        s[3 + current % kept] = s[2]
      end
      return l.amount - s[2]
    end,
    take = function(s, l, now, n)
      local at = 3 + s[1] % kept
      s[at] = s[at] + n
      s[2] = s[2] + n
    end,
    back = function(s, l, now, n)
      for i = 0, kept - 1 do
        if n <= 0 or s[1] < i then return end
        local at = 3 + (s[1] - i) % kept
        local part = min(n, s[at])
        s[at] = s[at] - part
        s[2] = max(0, s[2] - part)
        n = n - part
      end
    end,
    gone = function(s, l, now, n) return goneAt(s[1], l) end,
    restore = restore,
    -- Of a lease: it ends so many milliseconds from now, or up to one step later.
    renew = function(s, l, now, n, gone, lasting)
      if restore(s, l, now, n, gone) < n then return nil end
      local taken = min(s[1], ceil((now + lasting) / (l.window / steps)) - kept)
      local at = 3 + taken % kept
      s[at] = s[at] + n
      s[2] = s[2] + n
      return goneAt(taken, l)
    end,
    wait = function(s, l, now, n)
      local held = s[2]
      for i = kept - 1, 0, -1 do
        if held + n <= l.amount then return 0 end
        if s[1] >= i then
          held = held - s[3 + (s[1] - i) % kept]
          if held + n <= l.amount or i == 0 then return ceil(goneAt(s[1] - i, l) - now) end
        end
      end
      return 0
    end,
    reset = function(s, l, now)
      for i = 0, kept - 1 do
        if s[1] < i then return 0 end
        if s[3 + (s[1] - i) % kept] > 0 then return ceil(goneAt(s[1] - i, l) - now) end
      end
      return 0
    end,
  }
end

-- Made when it is first asked for: to make them all costs more than to judge a charge.
local makers = { b = newBucket, s = newSliding, f = newFixed, c = newFixed, l = newSliding }
local made = {}
local function counterOf(algorithm)
  local c = made[algorithm]
  if not c then
    c = makers[algorithm]()
    made[algorithm] = c
  end
  return c
end

local function readWindows(l, told)
  local starts, ends, nextEnds = string.match(told, '(%d+) (%d+) (%d+)')
  l.starts, l.ends, l.nextEnds = tonumber(starts), tonumber(ends), tonumber(nextEnds)
end

local function limit(a)
  local l = { amount = tonumber(ARGV[a + 1]), window = tonumber(ARGV[a + 2]), burst = tonumber(ARGV[a + 3]) }
  if ARGV[a] == 'c' then readWindows(l, ARGV[a + 2]) end
  return l
end

local function read(packed, c)
  -- Behind the state's numbers unpack answers a place in the text, which nobody looks at.
  if packed then return { struct.unpack(c.format, packed) } end
  local s = {}
  for i = 1, c.width do s[i] = 0 end
  return s
end

-- What people granted to a key beyond its limit stands behind its state: units, and until when. Answers it, and lets the
-- limit have so many units more; the rate of a bucket stays, as what is granted is granted once.
local function raise(l, c, packed, now)
  local at = c.width * 8
  if not packed or #packed <= at then return nil end
  local units, till = struct.unpack('>dd', packed, at + 1)
  if till <= now then return nil end
  if c.drains then l.burst = l.burst + units else l.amount = l.amount + units end
  return { units, till }
end

-- How long the id of units is kept that were spent already: as long as whoever sends them again may believe that they
-- count, be it by a part of the limit; a day at most.
local function believed(c, l, reset)
  local drained = c.drains and l.burst * l.window / l.amount or 0
  return min(ceil(max(reset, drained, 10000)) + 1000, 86400000)
end

-- A second longer than the count can matter, so that no clock's hair's breadth forgets it early. Where a test hands in
-- the time, Redis cannot know when that is.
local function write(key, s, c, l, now, extra)
  local rest = c.reset(s, l, now)
  local packed = struct.pack(c.format, unpack(s))
  if extra then
    rest = max(rest, extra[2] - now)
    packed = packed .. struct.pack('>dd', extra[1], extra[2])
  end
  local ttl = ARGV[1] ~= '' and 3600000 or ceil(min(rest + 1000, 1e14))
  redis.call('SET', key, packed, 'PX', ttl)
end
`;
