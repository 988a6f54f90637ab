// Opens pages of sample_page in chromium and uses them as a reader would.
//
//   node html_page_test.cjs sample_page [node_modules] [pictures]
//
// playwright-core is looked for in the folder node_modules, then where node looks itself
// (NODE_PATH); chromium at $CHROMIUM, then in PATH. Exit status 77: one of them is missing, which
// fails where $CI is set.
// With a folder for pictures, screenshots of the pages are left there.
'use strict';

const assert = require('node:assert/strict');
const {execFileSync} = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const {pathToFileURL} = require('node:url');

const SKIPPED = 77;
const LAPTOP = {width: 1366, height: 768};
const EVIL = '</script><b onmouseover=\'alert(1)\'>"&amp;<!--\n<script>alert(2)</script>';

function skip(reason) {
  console.log(`skipped: ${reason}`);
  process.exit(process.env.CI ? 1 : SKIPPED);
}

function findPlaywright(folder) {
  const names = folder ? [path.resolve(folder, 'playwright-core'), 'playwright-core'] :
    ['playwright-core'];
  for (const name of names) {
    try {
      return require(name);
    } catch (error) {
      if (error.code !== 'MODULE_NOT_FOUND') {
        throw error;
      }
    }
  }
  return skip('no playwright-core (npm install playwright-core)');
}

function findChromium() {
  if (process.env.CHROMIUM) {
    return process.env.CHROMIUM;
  }
  for (const name of ['chromium', 'chromium-browser', 'google-chrome']) {
    for (const folder of (process.env.PATH ?? '').split(path.delimiter)) {
      if (fs.existsSync(path.join(folder, name))) {
        return path.join(folder, name);
      }
    }
  }
  return skip('no chromium (Debian package: chromium)');
}

function parsedCsv(text) {
  const rows = [['']];
  let isQuoted = false;
  for (let i = 0; i < text.length; ++i) {
    const row = rows.at(-1);
    const c = text[i];
    if (isQuoted && c === '"' && text[i + 1] === '"') {
      row[row.length - 1] += c;
      ++i;
    } else if (c === '"') {
      isQuoted = !isQuoted;
    } else if (!isQuoted && c === ',') {
      row.push('');
    } else if (!isQuoted && c === '\n') {
      rows.push(['']);
    } else {
      row[row.length - 1] += c;
    }
  }
  assert.deepEqual(rows.pop(), [''], 'a CSV ends with a line feed');
  return rows;
}

async function savedCsv(page, section) {
  const download = page.waitForEvent('download');
  await section.locator('.csv').click();
  const saved = await download;
  return {
    name: saved.suggestedFilename(),
    rows: parsedCsv(fs.readFileSync(await saved.path(), 'utf8')),
  };
}

// The page's policy lets no script be made of a text, which is how playwright waits for functions.
async function until(condition, what) {
  for (const end = Date.now() + 20000; !await condition(); ) {
    assert.ok(Date.now() < end, what);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

const sectionOf = (page, title) =>
  page.locator('section').filter({has: page.getByRole('heading', {name: title, exact: true})});

// How many pixels of each canvas have a colour: axes and texts are grey, or nearly.
const colouredPixels = (page, canvases = 'canvas') => page.evaluate((selector) =>
  [...document.querySelectorAll(selector)].map((canvas) => {
    const copy = new OffscreenCanvas(canvas.width, canvas.height).getContext('2d');
    copy.drawImage(canvas, 0, 0);
    const {data} = copy.getImageData(0, 0, canvas.width, canvas.height);
    let coloured = 0;
    for (let i = 0; i < data.length; i += 4) {
      const spread = Math.max(data[i], data[i + 1], data[i + 2]) -
        Math.min(data[i], data[i + 1], data[i + 2]);
      coloured += data[i + 3] > 200 && spread > 40 ? 1 : 0;
    }
    return coloured;
  }), canvases);

// A canvas as it is drawn now.
const drawing = (section) => section.locator('.drawing canvas').evaluate((canvas) =>
  canvas.toDataURL());

const columnOf = (section, column) => section.locator('tbody tr:not([hidden])').evaluateAll(
  (rows, index) => rows.map(({cells}) => cells[index].dataset.value ?? cells[index].textContent),
  column);

async function testCanvases(page) {
  const coloured = await colouredPixels(page);
  assert.equal(coloured.length, 6 + 4 + 2 + 5 + 2 + 2, 'six charts and their legends');
  coloured.forEach((pixels, i) => assert.ok(pixels > 50, `canvas ${i} has ${pixels} pixels`));
}

async function testLayout(page) {
  const [wide, seen] = await page.evaluate(() =>
    [document.documentElement.scrollWidth, document.documentElement.clientWidth]);
  assert.ok(wide <= seen, 'a laptop does not scroll sideways');
  const height = (title) => sectionOf(page, title).locator('.drawing').evaluate((drawn) =>
    drawn.offsetHeight);
  assert.ok(await height('Widths per layer') > 54 * 15, 'bars of 54 layers have room');
  assert.ok(await height('Area') < 250, 'three bars take little');
}

async function testLegend(page) {
  const section = sectionOf(page, 'Latency and error of assignments');
  const button = section.getByRole('button', {name: 'greedy'});
  const before = await drawing(section);
  await button.click();
  assert.equal(await button.getAttribute('aria-pressed'), 'false');
  assert.notEqual(await drawing(section), before, 'a series is hidden');
  await button.click();
  assert.equal(await button.getAttribute('aria-pressed'), 'true');
  assert.equal(await drawing(section), before, 'and shown again');
}

async function testHover(page) {
  const section = sectionOf(page, 'Widths per layer');
  const canvas = section.locator('.drawing canvas');
  await canvas.scrollIntoViewIfNeeded();
  const box = await canvas.boundingBox();
  const before = await drawing(section);
  await canvas.hover({position: {x: box.width / 2, y: 175}});
  await until(async () => await drawing(section) !== before, 'a note is shown');

  const titles = new Set();
  for (let y = 60; y < 260; y += 5) {
    await canvas.hover({position: {x: 60, y}});
    titles.add(await canvas.getAttribute('title'));
  }
  assert.ok(titles.has('layer1.0.downsample.convolution_of_the_shortcut'),
    `the whole of a shortened name, among ${[...titles]}`);
}

async function testSorting(page) {
  const section = sectionOf(page, 'Layers');
  const header = (name) => section.locator('th').filter({hasText: name});
  const original = await columnOf(section, 0);
  assert.equal(original.length, 60);

  await header('MACs').getByRole('button').click();
  assert.equal(await header('MACs').getAttribute('aria-sort'), 'ascending');
  const up = await columnOf(section, 2);
  const numbers = up.slice(0, 54).map(Number);
  assert.deepEqual(numbers, [...numbers].sort((a, b) => a - b));
  assert.deepEqual(up.slice(54), Array(6).fill('-'), 'missing numbers come last');

  await page.keyboard.press('Enter');  // the heading has the focus
  assert.equal(await header('MACs').getAttribute('aria-sort'), 'descending');
  const down = await columnOf(section, 2);
  assert.deepEqual(down.slice(0, 54), up.slice(0, 54).reverse());
  assert.deepEqual(down.slice(54), Array(6).fill('-'), 'then too');

  await page.keyboard.press('Space');
  assert.equal(await header('MACs').getAttribute('aria-sort'), null);
  assert.deepEqual(await columnOf(section, 0), original, 'as the rows came');

  await header('share').getByRole('button').click();
  const shares = (await columnOf(section, 7)).map(Number);
  assert.deepEqual(shares, [...shares].sort((a, b) => a - b), 'numbers with units');
  await header('share').getByRole('button').click();
  await header('share').getByRole('button').click();
}

async function testFilter(page) {
  const section = sectionOf(page, 'Layers');
  const filter = section.getByRole('searchbox');
  await filter.fill('LAYER3 conv1');
  const names = await columnOf(section, 0);
  assert.deepEqual(names, [0, 1, 2, 3, 4, 5].map((block) => `layer3.${block}.conv1`));
  assert.equal(await section.getByRole('status').textContent(), '6 of 60 rows');

  const {rows} = await savedCsv(page, section);
  assert.deepEqual(rows.slice(1).map((row) => row[0]), names, 'what is shown is saved');

  await filter.fill('no such layer');
  assert.deepEqual(await columnOf(section, 0), []);
  await filter.fill('');
  assert.equal((await columnOf(section, 0)).length, 60);
  assert.equal(await section.getByRole('status').textContent(), '');
  assert.equal(await sectionOf(page, 'Area').getByRole('searchbox').count(), 0);
}

async function testTableCsv(page) {
  const section = sectionOf(page, 'Layers');
  const {name, rows} = await savedCsv(page, section);
  assert.equal(name, 'layers.csv');
  assert.equal(rows.length, 61);
  assert.deepEqual(rows[0], ['layer', 'kind', 'MACs', 'weights (bits)', 'activations (bits)',
    'latency (cycles)', 'energy (uJ)', 'share (%)', 'stalls']);
  assert.equal(rows[1][0], 'conv1');
  assert.match(rows[1][2], /^\d+$/, 'numbers without separators');
  assert.match(rows[1][7], /^\d+\.\d$/, 'and without units');
  assert.deepEqual(rows.slice(1).map((row) => row[5]), await columnOf(section, 5));
}

async function testChartCsv(page) {
  const front = await savedCsv(page, sectionOf(page, 'Latency and error of assignments'));
  assert.equal(front.name, 'latency-and-error-of-assignments.csv');
  assert.deepEqual(front.rows[0], ['series', 'latency (ms)', 'estimated error (loss)', 'note']);
  assert.equal(front.rows.length, 1 + 3 * 22 + 7);
  assert.equal(front.rows.at(-1)[0], 'one width for all');
  assert.match(front.rows[1][3], /^weights .* bits, activations .* bits$/);

  const bars = await savedCsv(page, sectionOf(page, 'Widths per layer'));
  assert.deepEqual(bars.rows.slice(0, 2),
    [['layer', 'weights', 'activations'], ['conv1', '8', '8']]);
  assert.equal(bars.rows.length, 55);
}

async function testPaper(page) {
  await page.emulateMedia({media: 'print'});
  const before = await page.evaluate(() => {
    dispatchEvent(new Event('beforeprint'));
    return getComputedStyle(document.body).backgroundColor;
  });
  assert.equal(before, 'rgb(255, 255, 255)');
  assert.ok((await colouredPixels(page, '.chart .drawing canvas')).every((pixels) => pixels > 50));
  assert.equal(await page.locator('.csv:visible').count(), 0);
  await page.evaluate(() => dispatchEvent(new Event('afterprint')));
  await page.emulateMedia({media: 'screen'});
}

// ---- parallel axes, keys and details

const MACHINES = 1024;
const shownIn = (section) => section.locator('.shown').textContent();
const front = (page) => page.locator('section.axes canvas').last();
const openDetails = (page) => page.locator('dialog[open]');
const hasNoDetail = (page) => until(async () =>
  await openDetails(page).count() === 0 && !page.url().includes('#detail-'), 'no detail is open');

// Drags along an axis between two heights, as shares of it from below.
async function drag(page, axis, from, to) {
  const at = await axisPlaces(page);
  await page.mouse.move(at.x(axis), at.y(from));
  await page.mouse.down();
  await page.mouse.move(at.x(axis), at.y((from + to) / 2));
  await page.mouse.move(at.x(axis), at.y(to));
  await page.mouse.up();
}

// Where axes stand on the screen: eight of them, 400 pixels long, 16 above the drawing's end.
async function axisPlaces(page) {
  await front(page).scrollIntoViewIfNeeded();
  const box = await front(page).boundingBox();
  const [left, right, bottom, length] = [96, 58, 16, 400];
  return {
    x: (axis) => box.x + left + axis * (box.width - left - right) / 7,
    y: (share) => box.y + box.height - bottom - share * length,
  };
}

// The middle of a chart's point on the screen.
const pointOf = (section, series, index) => section.locator('.drawing canvas').evaluate(
  (canvas, [i, k]) => {
    canvas.scrollIntoView({block: 'center'});
    const {x, y} = Chart.getChart(canvas).getDatasetMeta(i).data[k];
    const box = canvas.getBoundingClientRect();
    return [box.x + x, box.y + y];
  }, [series, index]);

// How many pixels of each layer of the axes are drawn.
const inkOfAxes = (page) => page.locator('section.axes canvas').evaluateAll((canvases) =>
  canvases.filter((canvas) => canvas.closest('.drawing')).map((canvas) => {
    const copy = new OffscreenCanvas(canvas.width, canvas.height).getContext('2d');
    copy.drawImage(canvas, 0, 0);
    const {data} = copy.getImageData(0, 0, canvas.width, canvas.height);
    return data.reduce((sum, value, i) => sum + (i % 4 === 3 && value > 0 ? 1 : 0), 0);
  }));

async function testAxesOnPaper(page) {
  await page.evaluate(() => dispatchEvent(new Event('beforeprint')));
  const [, lines, printed] = await inkOfAxes(page);
  assert.ok(printed > lines, 'the upper layer, which is opaque on paper, has the lines too');
  await page.evaluate(() => dispatchEvent(new Event('afterprint')));
  const [, , shown] = await inkOfAxes(page);
  assert.ok(shown < printed / 4);
}

async function testAxes(page) {
  const section = sectionOf(page, 'Machines');
  const drawn = await inkOfAxes(page);
  assert.equal(drawn.length, 3);
  drawn.forEach((pixels) => assert.ok(pixels > 4000, `${pixels} pixels of axes or lines`));
  assert.equal(await shownIn(section), '1\u202f024 machines');
  const [wide, seen] = await page.evaluate(() =>
    [document.documentElement.scrollWidth, document.documentElement.clientWidth]);
  assert.ok(wide <= seen, 'a laptop does not scroll sideways');
}

async function testRanges(page) {
  const section = sectionOf(page, 'Machines');
  const table = sectionOf(page, 'All machines');
  const chart = sectionOf(page, 'Area and latency');
  const reset = section.getByRole('button', {name: 'Reset ranges'});
  const pointsBefore = await drawing(chart);
  assert.ok(await reset.isDisabled());

  await drag(page, 0, 0.4, 0.6);  // the middle one of three engines
  await until(async () => await shownIn(table), 'rows are filtered');
  const engines = await columnOf(table, 1);
  assert.deepEqual([...new Set(engines)], ['bit-serial']);
  assert.ok(engines.length > 100 && engines.length < MACHINES);
  assert.equal(await shownIn(section), `${engines.length} of 1\u202f024 machines`);
  assert.notEqual(await drawing(chart), pointsBefore, 'points turn grey');

  await drag(page, 5, -0.02, 0.5);
  await until(async () => (await columnOf(table, 0)).length < engines.length, 'once more');
  const areas = (await columnOf(table, 2)).map(Number);
  const csv = await savedCsv(page, section);
  assert.equal(csv.name, 'machines.csv');
  assert.deepEqual(csv.rows[0], ['name', 'engine', 'rows', 'columns', 'buffer (KiB)', 'DRAM (GB/s)',
    'area (mm2)', 'energy (mJ)', 'latency (ms)', 'on the front']);
  assert.equal(csv.rows.length - 1, areas.length, 'both ranges, in the table too');
  assert.ok(csv.rows.slice(1).every((row) => row[1] === 'bit-serial'));
  assert.ok(csv.rows.slice(1).every((row) => Number(row[6]) < 5), 'the small half');

  await table.getByRole('searchbox').fill(csv.rows[1][0].split(':')[0]);
  const found = await columnOf(table, 0);
  assert.ok(found.length >= 1 && found.length < areas.length, 'words and ranges together');
  await table.getByRole('searchbox').fill('');

  const at = await axisPlaces(page);
  await page.mouse.click(at.x(5), at.y(0.1));
  await until(async () => (await columnOf(table, 0)).length === engines.length, 'and shown again');

  await reset.focus();
  await page.keyboard.press('Enter');
  await until(async () => !await shownIn(table), 'all rows are shown');
  assert.equal((await columnOf(table, 0)).length, MACHINES);
  assert.equal(await shownIn(section), '1\u202f024 machines');
  assert.equal((await savedCsv(page, section)).rows.length, 1 + MACHINES);
  assert.equal(await drawing(chart), pointsBefore, 'points have their colours again');
}

async function testAxesLegend(page) {
  const section = sectionOf(page, 'Machines');
  const lines = () => section.locator('.drawing canvas').nth(1).evaluate((canvas) =>
    canvas.toDataURL());
  const others = section.getByRole('button', {name: 'others'});
  const before = await lines();
  await others.click();
  await until(async () => await lines() !== before, 'lines are hidden');
  assert.equal(await others.getAttribute('aria-pressed'), 'false');
  await others.click();
  await until(async () => await lines() === before, 'and shown again');
}

async function testSameKeys(page) {
  const chart = sectionOf(page, 'Area and latency');
  const marked = page.locator('section.table tr.pointed');
  await page.mouse.move(...await pointOf(chart, 0, 0));
  await marked.waitFor({state: 'attached'});
  assert.equal(await marked.locator('td').first().textContent(), 'machine-1');
  assert.equal(await page.locator('.ring').count(), 2, 'in the scatter and on the bar');

  await page.mouse.move(0, 0);
  await marked.waitFor({state: 'detached'});
  const drawn = () => front(page).evaluate((canvas) => canvas.toDataURL());
  const before = await drawn();
  await page.locator('section.table tbody tr').nth(3).hover();
  await until(async () => await drawn() !== before, 'its line is marked');
  await page.mouse.move(0, 0);
  assert.equal(await page.locator('.ring').count(), 0);
}

async function testDetails(page) {
  const chart = sectionOf(page, 'Area and latency');
  const canvas = chart.locator('.drawing canvas');
  assert.equal(await page.locator('dialog canvas').count(), 0, 'nothing is drawn before');

  const point = await pointOf(chart, 0, 0);
  await page.mouse.move(...point);
  assert.equal(await canvas.evaluate((drawn) => drawn.style.cursor), 'pointer');
  assert.deepEqual(await canvas.evaluate((drawn) => Chart.getChart(drawn).tooltip.footer),
    ['click for details']);
  await page.mouse.click(...point);
  await openDetails(page).waitFor();
  assert.match(page.url(), /#detail-machine-1$/);
  assert.match(await openDetails(page).getByRole('heading').first().textContent(), /^machine-1:/);
  const coloured = await colouredPixels(page, 'dialog[open] canvas');
  assert.equal(coloured.length, 4 + 4 + 3 + 3, 'four charts and three legends');
  coloured.forEach((pixels, i) => assert.ok(pixels > 50, `canvas ${i} has ${pixels} pixels`));
  const height = await openDetails(page).locator('.drawing').nth(2).evaluate((drawn) =>
    drawn.offsetHeight);
  assert.ok(height > 150 * 15, 'bars of 150 layers have room');
  const table = openDetails(page).locator('section.table');
  await table.getByRole('searchbox').fill('layer.3.');
  assert.equal(await shownIn(table), '12 of 150 rows');
  assert.equal((await savedCsv(page, table)).rows.length, 13);

  await page.keyboard.press('Escape');
  await hasNoDetail(page);
  await page.goForward();
  await openDetails(page).waitFor();
  assert.equal((await columnOf(table, 0)).length, 12, 'as it was left');
  await page.goBack();
  await hasNoDetail(page);

  await sectionOf(page, 'All machines').getByRole('link', {name: 'machine-2', exact: true}).click();
  await openDetails(page).waitFor();
  assert.match(page.url(), /#detail-machine-2$/);
  await openDetails(page).getByRole('button', {name: 'Close'}).click();
  await hasNoDetail(page);
}

async function testDetailOfLine(page) {
  const at = await axisPlaces(page);
  const cursor = () => front(page).evaluate((canvas) => canvas.style.cursor);
  let share = 1;
  do {
    share -= 0.02;
    await page.mouse.move(at.x(6.7), at.y(share));
  } while (await cursor() !== 'pointer' && share > 0);
  const tip = await page.locator('.tip').allInnerTexts();
  assert.match(tip[0], /^machine-.*\nengine: [^]*\nclick for details$/);
  await page.mouse.click(at.x(6.7), at.y(share));
  await openDetails(page).waitFor();
  const title = await openDetails(page).getByRole('heading').first().textContent();
  assert.equal(title, tip[0].split('\n')[0]);
  await page.keyboard.press('Escape');
  await hasNoDetail(page);
}

async function testAddressOfDetail(page) {
  const url = page.url().split('#')[0];
  await page.goto('about:blank');
  await page.goto(`${url}#detail-machine-2`);
  await openDetails(page).waitFor();
  await testPaper(page);
  assert.ok((await colouredPixels(page, 'dialog[open] canvas')).every((pixels) => pixels > 50));
  await openDetails(page).getByRole('button', {name: 'Close'}).click();
  await hasNoDetail(page);
  await page.goto(`${url}#detail-toString`);
  assert.equal(await openDetails(page).count(), 0, 'an unknown detail opens nothing');
}

async function testWithoutScripts(page) {
  assert.ok(await page.locator('section.table').first().isVisible());
  const detail = page.locator('dialog').first();
  assert.ok(await detail.getByRole('heading', {name: 'machine-1:'}).isVisible());
  assert.ok(await detail.getByRole('cell', {name: 'encoder.layer.12.attention.5'}).isVisible());
  assert.equal(await page.getByRole('button', {name: 'Close'}).count(), 0);
  await page.getByRole('link', {name: 'machine-2', exact: true}).first().click();
  assert.ok(await page.locator('#detail-machine-2').evaluate((shown) =>
    Math.abs(shown.getBoundingClientRect().top) < 100), 'links lead to details');
}

async function testLarge(page) {
  const section = sectionOf(page, 'Machines');
  assert.ok(await page.evaluate(() => document.documentElement.outerHTML.length) < 8e6);
  assert.ok(await page.evaluate(() => document.querySelectorAll('dialog *').length) < 60 * 6,
    'details are not read before they are opened');
  const started = Date.now();
  await drag(page, 6, 0, 0.2);
  await until(() => shownIn(sectionOf(page, 'All machines')), 'rows are filtered');
  assert.match(await shownIn(section), /^[1-4]\u202f?\d+ of 5\u202f000 machines$/);
  assert.ok(Date.now() - started < 20000, 'even on a busy machine');
}

async function testHostileTexts(page) {
  const shown = await page.locator('h2').first().textContent();
  assert.equal(shown, EVIL);
  assert.equal(await page.locator('b').count(), 0);
  const table = page.locator('section.table').first();
  assert.deepEqual((await savedCsv(page, table)).rows,
    [[EVIL, 'value'], [EVIL, '2'], ['a,"b"', '-10'], ['', '-'], ['x10', '1000']]);
  const bars = await savedCsv(page, page.locator('section.chart').first());
  assert.deepEqual(bars.rows, [[EVIL, EVIL, `${EVIL} note`, 'toString'], [EVIL, '1', EVIL, '0'],
    ['__proto__', '2', EVIL, '-1'], ['=1+1', '3', EVIL, '0.5']]);
  const canvas = page.locator('.drawing canvas').first();
  const box = await canvas.boundingBox();
  await canvas.hover({position: {x: box.width / 2, y: box.height / 3}});
  await page.locator('th button').first().click();
  assert.equal(await page.locator('.chart .drawing canvas').count(), 2,
    'an empty chart says so instead');
  assert.equal(await page.locator('.axes .drawing canvas').count(), 3, 'so do empty axes');
  assert.ok((await colouredPixels(page, '.chart .drawing canvas')).every((pixels) => pixels > 50));

  const axes = await savedCsv(page, page.locator('section.axes').first());
  assert.deepEqual(axes.rows, [['name', EVIL, 'a', 'b', EVIL], [EVIL, EVIL, '1', '1', 'yes'],
    ['constructor', '__proto__', '1', '5', 'no']]);
  await page.evaluate(() => { location.hash = 'detail-constructor'; });
  await openDetails(page).waitFor();
  assert.equal(await openDetails(page).getByRole('heading').first().textContent(), EVIL);
  assert.deepEqual((await savedCsv(page, openDetails(page).locator('section.table'))).rows[1],
    [EVIL, '2']);
  assert.equal(await page.locator('b:not(.tip b)').count(), 0);
  await page.keyboard.press('Escape');
  await hasNoDetail(page);
  await page.locator('main section.table').last().getByRole('link', {name: '1'}).click();
  await openDetails(page).waitFor();
  assert.match(page.url(), /#detail-__proto__$/);
}

async function main() {
  const [generator, modules, pictures] = process.argv.slice(2);
  assert.ok(generator, 'usage: node html_page_test.cjs sample_page [node_modules] [pictures]');
  const {chromium} = findPlaywright(modules);
  const executablePath = findChromium();
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'html_page_test.'));
  // Chromium's sandbox cannot be set up by root, nor inside most containers.
  const browser = await chromium.launch({executablePath, args: ['--no-sandbox']});

  async function withPage(name, colorScheme, steps, javaScriptEnabled = true) {
    const file = path.join(folder, `${name}.html`);
    fs.writeFileSync(file, execFileSync(generator, [name], {maxBuffer: 1 << 26}));
    const url = pathToFileURL(file).href;
    const context = await browser.newContext({viewport: LAPTOP, colorScheme, javaScriptEnabled});
    const page = await context.newPage();
    const complaints = [];
    page.on('console', (message) => complaints.push(`${message.type()}: ${message.text()}`));
    page.on('pageerror', (error) => complaints.push(error.stack));
    page.on('dialog', (dialog) => {
      complaints.push(`dialog: ${dialog.message()}`);
      return dialog.dismiss();
    });
    page.on('request', (request) => {
      const asked = request.url().split('#')[0];
      if (asked !== url && asked !== 'about:blank' && !/^(data|blob):/.test(asked)) {
        complaints.push(`request: ${request.url()}`);
      }
    });
    await page.goto(url);
    for (const step of steps) {
      await step(page);
      console.log(`ok ${name}, ${colorScheme}: ${step.name}`);
    }
    if (pictures && javaScriptEnabled) {
      fs.mkdirSync(pictures, {recursive: true});
      await page.mouse.move(0, 0);
      await page.evaluate(() => scrollTo(0, 0));
      const picture = path.join(pictures, `${name}-${colorScheme}`);
      await page.screenshot({path: `${picture}.png`, fullPage: true});
      await page.addStyleTag({content: 'html { filter: grayscale(1); }'});
      await page.screenshot({path: `${picture}-grey.png`, fullPage: true});
    }
    assert.deepEqual(complaints, [], 'errors, messages, dialogs and requests of the page');
    await context.close();
  }

  try {
    await withPage('report', 'light', [testCanvases, testLayout, testLegend, testHover, testSorting,
      testFilter, testTableCsv, testChartCsv, testPaper, testCanvases]);
    await withPage('report', 'dark', [testCanvases, testPaper, testCanvases]);
    await withPage('sweep', 'light', [testAxes, testRanges, testAxesLegend, testSameKeys,
      testDetails, testDetailOfLine, testAddressOfDetail]);
    await withPage('sweep', 'dark', [testAxes, testAxesOnPaper, testRanges]);
    await withPage('sweep', 'light', [testWithoutScripts], false);
    await withPage('large', 'light', [testLarge]);
    await withPage('hostile', 'light', [testHostileTexts]);
  } finally {
    await browser.close();
    fs.rmSync(folder, {recursive: true});
  }
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
