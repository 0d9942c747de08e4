// Shows the record, once a second; words and severities come from the server, which has them from the
// same place as the command line. All text goes in as text nodes, never as markup.

const ICONS = {
  pending: '○', running: '◌', waiting: '◷', good: '✔', bad: '✖', alert: '⚠', security: '◆', skipped: '•',
};
const BUTTONS = {
  approve: ['Approve', 'main', 'The change that is shown goes to this stage.'],
  reject: ['Reject', 'danger', 'The release ends; what is live stays live.'],
  promote: ['Promote one step', '', 'The next weight now, without the rest of this bake.'],
  'promote-full': ['Promote fully', '', 'All traffic now: no more bakes, but every hook.'],
  pause: ['Pause', '', 'The weights stay until you resume; health is watched all the same.'],
  resume: ['Resume', 'main', 'The release goes on by its plan.'],
  abort: ['Abort', 'danger', 'All traffic goes back to the stable version at once, then the stack.'],
};
const NEED_A_REASON = new Set(['reject', 'abort']);
const EVERY_MS = 1000;

const main = document.getElementById('main');
const opened = new Set();

// ------------------------------------------------------------------------------------ elements

function h(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

function s(tag, attributes = {}, ...children) {
  return fill(document.createElementNS('http://www.w3.org/2000/svg', tag), attributes, children);
}

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith('on')) element.addEventListener(name.slice(2), value);
    else if (value !== undefined && value !== null) element.setAttribute(name, value);
  }
  element.append(...children.flat(2).filter((child) => child !== null && child !== undefined));
  return element;
}

function bar(share, severity, wide = false) {
  const full = h('i');
  full.style.width = `${share * 100}%`;
  return h('span', {
    class: `bar ${severity} ${wide ? 'wide' : ''}`, role: 'meter',
    'aria-valuemin': 0, 'aria-valuemax': 100, 'aria-valuenow': Math.round(share * 100),
  }, full);
}

const mark = (severity, words) => h('span', { class: severity }, `${ICONS[severity]} ${words}`);
const card = (...children) => h('section', { class: 'card' }, ...children);

// ---------------------------------------------------------------------------------------- words

function duration(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  const units = [[86400, 'd', 3600, 'h'], [3600, 'h', 60, 'm'], [60, 'm', 1, 's']];
  for (const [size, name, small, smallName] of units) {
    if (whole >= size) {
      const rest = Math.floor((whole % size) / small);
      return `${Math.floor(whole / size)}${name}${String(rest).padStart(2, '0')}${smallName}`;
    }
  }
  return `${whole}s`;
}

const seconds = (from, to) => (new Date(to) - new Date(from)) / 1000;
const percent = (share) => `${Number((share * 100).toFixed(1))} %`;
const rate = (failed, all) => (all ? failed / all : null);
const count = (number) => number.toLocaleString('en');

function person(who) {
  if (who.endsWith('>') && who.includes('<')) return who.split('<')[0].trim() || who;
  return who.startsWith('arn:') ? who.split('/').pop() : who;
}

const commit = (one) => [
  h('span', { class: 'mono' }, one.commit.slice(0, 7)), ` ${one.subject || 'no message'}`,
  one.author ? h('span', { class: 'faint' }, ` by ${person(one.author)}`) : null,
];

// ------------------------------------------------------------------------------------- overview

function overview({ applications }) {
  document.title = 'Tidegate';
  if (!applications.length) {
    return [card(h('h1', {}, 'Nothing released yet'),
      h('p', { class: 'faint' }, 'The first release of an application shows here by itself.'))];
  }
  return applications.map((one) => card(
    h('h1', {}, one.name),
    one.releases.filter((release) => !release.over).map(underWay),
    h('h2', {}, 'Live now'), liveTable(one),
    h('h2', {}, 'Last releases'), releaseTable(one.releases),
  ));
}

function underWay(release) {
  return h('p', { class: `note ${release.severity}` },
    h('a', { href: `#/releases/${release.id}` }, release.id), ' ', mark(release.severity, release.status),
    release.weight === null ? null
      : [' ', bar(release.weight, 'running'), ` ${percent(release.weight)}`],
    h('br'), h('span', { class: 'body' }, commit(release)));
}

function liveTable({ live, releases }) {
  if (!live.length) return h('p', { class: 'faint' }, 'Nothing is live yet.');
  const now = new Date();
  return h('div', { class: 'scroll' }, h('table', {},
    h('tr', {}, ['Stage', 'Where', 'Release', 'Version', 'What'].map((name) => h('th', {}, name)),
      h('th', { class: 'right' }, 'Since')),
    live.map((one) => h('tr', {},
      h('td', {}, one.stage), h('td', { class: 'faint tight' }, one.target),
      h('td', { class: 'tight' }, h('a', { href: `#/releases/${one.release_id}` }, one.release_id)),
      h('td', {}, one.versions.join(', ')), h('td', {}, commit(one)),
      h('td', { class: 'right faint' }, `${duration(seconds(one.since, now))} ago`)))));
}

function releaseTable(releases) {
  return h('div', { class: 'scroll' }, h('table', {}, releases.map((one) => h('tr', {},
    h('td', { class: 'tight' }, h('a', { href: `#/releases/${one.id}` }, one.id)),
    h('td', { class: 'tight' }, mark(one.severity, one.status)),
    h('td', {}, commit(one)),
    h('td', { class: 'right faint' },
      one.over ? `${duration(seconds(one.started_at, one.at))} ago` : 'now')))));
}

// -------------------------------------------------------------------------------------- release

function release(one) {
  document.title = `${ICONS[one.severity]} ${one.id} · Tidegate`;
  return [
    card(
      h('div', { class: 'head' },
        h('h1', {}, `${one.id} `, mark(one.severity, one.status)),
        h('span', { class: 'faint' }, duration(seconds(one.started_at, one.ended_at || one.at)))),
      h('p', {}, commit(one), one.branch ? h('span', { class: 'faint' }, ` on ${one.branch}`) : null),
      path(one.tree),
      one.next ? h('p', { class: `note ${one.severity}` }, h('span', { class: 'body' }, one.next)) : null,
      one.why ? h('p', { class: `note ${one.severity}` }, h('span', { class: 'body' }, one.why)) : null,
      one.verbs.length
        ? h('div', { class: 'buttons' }, one.verbs.map((wish) => button(one, wish))) : null,
    ),
    one.rollouts.filter((rollout) => rollout.decisions.length).reverse().map(shift),
    card(h('h2', {}, 'Everything'), h('div', { class: 'scroll' }, tree(one.tree))),
  ];
}

function path(root) {
  return h('ul', { class: 'path' },
    root.children.map((node) => h('li', { class: node.severity }, `${ICONS[node.severity]} ${node.name}`)));
}

function button(one, { verb, stage, shown }) {
  const [label, look] = BUTTONS[verb];
  const words = stage ? `${label} ${stage}` : label;
  return h('button', { class: look, onclick: () => ask(one.id, verb, { stage, shown }, words) }, words);
}

function shift(rollout) {
  return card(
    h('div', { class: 'head' },
      h('strong', {}, `${rollout.stage} ${rollout.target}`),
      h('span', { class: 'faint' }, `${rollout.strategy}, version ${rollout.versions.join(', ')}`)),
    bar(rollout.weight, rollout.severity, true),
    h('p', {}, `${percent(rollout.weight)} of the live traffic goes to the candidate`),
    rollout.decisions.length > 1 ? h('div', { class: 'two' },
      h('div', {}, h('h2', {}, 'Weight, and share of requests that fail'), chart(rollout.decisions)),
      h('div', {}, rollout.health ? health(rollout.health) : null)) : null,
    decisions(rollout),
  );
}

function health(one) {
  const severity = { healthy: 'good', unhealthy: 'bad' }[one.judgement] || 'waiting';
  const row = (name, look, failed, all) => h('tr', {},
    h('td', { class: look }, name), h('td', { class: 'right' }, count(all)),
    h('td', { class: 'right' }, count(failed)),
    h('td', { class: 'right' }, all ? percent(rate(failed, all)) : '–'));
  return [
    h('h2', {}, 'Health ', mark(severity, one.judgement)),
    h('table', {},
      h('tr', {}, h('th', {}, ''), ['Requests', 'Failed', 'Share'].map(
        (name) => h('th', { class: 'right' }, name))),
      row('candidate', 'candidate', one.candidate_errors, one.candidate_invocations),
      row('stable', 'faint', one.stable_errors, one.stable_invocations)),
    one.reasons.map((why) => h('p', { class: 'faint' }, why)),
    one.evidence.length ? h('h2', {}, 'Evidence against the candidate; when a bar is full, it goes back') : null,
    one.evidence.map((test) => h('p', {},
      bar(test.share, test.share >= 1 ? 'bad' : 'running'), ` ${test.test}`)),
  ];
}

function decisions(rollout) {
  const key = `${rollout.stage} ${rollout.target}`;
  const toggled = (event) => (event.target.open ? opened.add(key) : opened.delete(key));
  return h('details', { ontoggle: toggled, ...(opened.has(key) ? { open: '' } : {}) },
    h('summary', {}, rollout.decisions.length === 1 ? '1 decision' : `${rollout.decisions.length} decisions`),
    h('div', { class: 'scroll' }, h('table', {}, rollout.decisions.map((one) => h('tr', {},
      h('td', { class: 'tight faint' }, new Date(one.at).toISOString().slice(11, 19)),
      h('td', { class: 'tight' }, one.action), h('td', { class: 'tight' }, percent(one.weight)),
      h('td', {}, one.why))))));
}

function tree(root) {
  const rows = [];
  const walk = (node, before, own) => {
    rows.push(h('tr', {},
      h('td', {}, h('span', { class: 'kin' }, before + own), node.name),
      h('td', {}, mark(node.severity, node.status)),
      h('td', { class: 'faint' }, node.age_seconds === null ? '' : duration(node.age_seconds)),
      h('td', {}, [node.info, node.clock].filter(Boolean).join('  '))));
    const below = before + { '': '', '├─ ': '│  ', '└─ ': '   ' }[own];
    node.children.forEach((child, index) => {
      walk(child, below, index === node.children.length - 1 ? '└─ ' : '├─ ');
    });
  };
  walk(root, '', '');
  return h('table', { class: 'tree' }, rows);
}

// ---------------------------------------------------------------------------------------- chart

function chart(newestFirst) {
  const points = [...newestFirst].reverse();
  const [width, top, bottom, left] = [560, 120, 96, 44];
  const times = points.map((one) => new Date(one.at).getTime());
  const span = Math.max(1, times.at(-1) - times[0]);
  const x = (index) => left + ((width - left - 8) * (times[index] - times[0])) / span;
  const y = (share) => 8 + (top - 16) * (1 - share);
  const rates = points.map(({ health: seen }) => [
    rate(seen.candidate_errors, seen.candidate_invocations),
    rate(seen.stable_errors, seen.stable_invocations)]);
  const highest = Math.max(0.01, ...rates.flat().map((share) => share || 0));
  const z = (share) => top + 8 + (bottom - 24) * (1 - share / highest);

  let stairs = `M${x(0)},${y(0)}`;
  points.forEach((one, index) => {
    if (index) stairs += `H${x(index)}`;
    stairs += `V${y(one.weight)}`;
    if (one.action === 'restore') stairs += `V${y(0)}`;
  });
  const line = (which) => rates
    .map((pair, index) => (pair[which] === null ? null : `${x(index)},${z(pair[which])}`))
    .filter(Boolean).join(' ');
  const severities = { restore: 'bad', promote: 'good', 'set-weight': 'running' };
  const label = (words, at, row, anchor = 'end') => s('text', { x: at, y: row, 'text-anchor': anchor }, words);
  return s('svg', { class: 'chart', viewBox: `0 0 ${width} ${top + bottom}`, role: 'img',
    'aria-label': 'The weight of the candidate and the failing share of both versions over time' },
  [0, 0.5, 1].map((share) => [
    s('line', { class: 'grid', x1: left, x2: width - 8, y1: y(share), y2: y(share) }),
    label(percent(share), left - 6, y(share) + 4)]),
  [0, highest].map((share) => [
    s('line', { class: 'grid', x1: left, x2: width - 8, y1: z(share), y2: z(share) }),
    label(percent(share), left - 6, z(share) + 4)]),
  s('path', { class: 'under', d: `${stairs}V${y(0)}H${x(0)}Z` }),
  s('path', { class: 'weight', d: stairs }),
  s('polyline', { class: 'stable', points: line(1) }),
  s('polyline', { class: 'candidate', points: line(0) }),
  points.map((one, index) => (severities[one.action]
    ? s('circle', { class: `mark ${severities[one.action]}`, cx: x(index), cy: y(one.weight), r: 5 },
      s('title', {}, `${one.action}: ${one.why}`)) : null)),
  label('0s', left, top + bottom - 2, 'start'),
  label(duration(span / 1000), width - 8, top + bottom - 2),
  label('candidate', left + 120, top + bottom - 2, 'start'),
  s('line', { class: 'candidate', x1: left + 98, x2: left + 114, y1: top + bottom - 6, y2: top + bottom - 6 }),
  label('stable', left + 222, top + bottom - 2, 'start'),
  s('line', { class: 'stable', x1: left + 200, x2: left + 216, y1: top + bottom - 6, y2: top + bottom - 6 }));
}

// ------------------------------------------------------------------------------ asking and saying

async function call(path, body) {
  const request = { headers: { 'X-Tidegate-Key': sessionStorage.getItem('key') || '' } };
  if (body) Object.assign(request, { method: 'POST', body: JSON.stringify(body) });
  const response = await fetch(`/api/${path}`, request);
  const answer = await response.json();
  if (!response.ok) throw new Error(answer.error);
  return answer;
}

function ask(id, verb, about, words) {
  const [, look, text] = BUTTONS[verb];
  const dialog = document.getElementById('ask');
  const reason = document.getElementById('ask-reason');
  const act = document.getElementById('ask-do');
  document.getElementById('ask-title').textContent = `${words}: ${id}`;
  document.getElementById('ask-text').textContent = text;
  reason.value = '';
  reason.required = NEED_A_REASON.has(verb);
  act.textContent = words;
  act.className = look || 'main';
  dialog.returnValue = 'cancel';
  dialog.onclose = async () => {
    if (dialog.returnValue !== 'do') return;
    try {
      const answer = await call(`releases/${id}/${verb}`, { ...about, reason: reason.value });
      say(answer.message);
    } catch (error) {
      say(error.message);
    }
    show();
  };
  dialog.showModal();
}

let silence;
function say(words) {
  const said = document.getElementById('said');
  said.textContent = words;
  said.hidden = false;
  clearTimeout(silence);
  silence = setTimeout(() => { said.hidden = true; }, 8000);
}

// -------------------------------------------------------------------------------------- the loop

let shown = 0;
async function show() {
  const mine = (shown += 1);
  const link = document.getElementById('link');
  const [, kind, name] = location.hash.split('/');
  try {
    const parts = kind === 'releases'
      ? release(await call(`releases/${name}`)) : overview(await call('applications'));
    if (mine !== shown) return;
    main.replaceChildren(...parts.flat(2).filter(Boolean));
    link.className = 'faint';
    link.textContent = '';
  } catch (error) {
    if (mine !== shown) return;
    link.className = 'bad';
    link.textContent = error instanceof TypeError ? 'The dashboard does not answer.' : error.message;
  }
}

function takeKey() {
  const given = new URLSearchParams(location.hash.slice(1));
  if (!given.has('key')) return;
  sessionStorage.setItem('key', given.get('key'));
  const release = given.get('release');
  history.replaceState(null, '', release ? `#/releases/${release}` : '#/');
}

takeKey();
addEventListener('hashchange', () => { takeKey(); show(); });
document.addEventListener('visibilitychange', () => document.hidden || show());
setInterval(() => document.hidden || getSelection().type === 'Range' || show(), EVERY_MS);
show();
