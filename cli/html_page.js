// What a report's page does: draws its charts and parallel axes, sorts and filters its tables,
// saves all of them as CSV, marks what has one key in all of them, and opens details.
(() => {
  'use strict';

  const root = document.documentElement;
  root.classList.add('scripted');

  // ---- numbers and texts

  const THIN_SPACE = '\u202f';
  const MINUS = '\u2212';
  const SUPERSCRIPTS = {
    '-': '\u207b', 0: '\u2070', 1: '\u00b9', 2: '\u00b2', 3: '\u00b3', 4: '\u2074', 5: '\u2075',
    6: '\u2076', 7: '\u2077', 8: '\u2078', 9: '\u2079',
  };

  // "1 234 567.89"; very large and very small ones as "1.2×10⁻⁷".
  function numberText(value) {
    const size = Math.abs(value);
    if (size !== 0 && (size >= 1e12 || size < 1e-4)) {
      const [mantissa, exponent] = value.toExponential(3).split('e');
      const power = [...String(Number(exponent))].map((c) => SUPERSCRIPTS[c]).join('');
      return `${String(Number(mantissa)).replace('-', MINUS)}\u00d710${power}`;
    }
    const rounded = Number.isInteger(value) ? value : Number(value.toPrecision(6));
    const [whole, fraction] = String(Math.abs(rounded)).split('.');
    return (rounded < 0 ? MINUS : '') + whole.replace(/\B(?=(\d{3})+$)/g, THIN_SPACE) +
      (fraction ? `.${fraction}` : '');
  }

  // The ends tell layers apart, so the middle goes.
  function shortened(text, length) {
    const characters = [...text.replaceAll('\n', ' ')];
    if (characters.length <= length) {
      return characters.join('');
    }
    const atEnd = Math.ceil((length - 1) / 2);
    return characters.slice(0, length - 1 - atEnd).join('') + '\u2026' +
      characters.slice(-atEnd).join('');
  }

  // Lines of at most `length` characters, broken between words where there are any.
  function wrapped(text, length) {
    const lines = [];
    for (const paragraph of text.split('\n')) {
      let line = '';
      for (let word of paragraph.split(' ')) {
        if (line && line.length + 1 + word.length > length) {
          lines.push(line);
          line = '';
        }
        for (; word.length > length; word = word.slice(length)) {
          lines.push(word.slice(0, length));
        }
        line = line ? `${line} ${word}` : word;
      }
      lines.push(line);
    }
    return lines;
  }

  // ---- CSV

  function csvField(value) {
    const text = String(value);
    return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  }

  function saveCsv(title, rows) {
    const text = rows.map((row) => `${row.map(csvField).join(',')}\n`).join('');
    const link = document.createElement('a');
    link.href = URL.createObjectURL(new Blob([text], {type: 'text/csv;charset=utf-8'}));
    const name = title.toLowerCase().replace(/[^a-z0-9]+/g, '-').replace(/^-|-$/g, '').slice(0, 60);
    link.download = `${name || 'data'}.csv`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  }

  // ---- keys: what has the same one speaks of the same thing

  // What shows keys: point(key) marks it, none for an empty key; filter() shows what isOut() says.
  const linked = [];
  const leftOut = new Map();  // by parallel axes, the keys that their ranges leave out
  let pointed = '';

  function isOut(key, except) {
    for (const [axes, keys] of leftOut) {
      if (axes !== except && keys.has(key)) {
        return true;
      }
    }
    return false;
  }

  function link(part) {
    linked.push(part);
    if (leftOut.size > 0) {
      part.filter();
    }
  }

  function pointAt(key) {
    if (key !== pointed) {
      pointed = key;
      linked.forEach((part) => part.point(key));
    }
  }

  function leaveOut(axes, keys) {
    if (keys.size > 0) {
      leftOut.set(axes, keys);
    } else if (!leftOut.delete(axes)) {
      return;
    }
    linked.forEach((part) => part !== axes && part.filter());
  }

  // What every key stands for: [[key, thing]] as a map to lists.
  function byKey(pairs) {
    const things = new Map();
    for (const [key, thing] of pairs) {
      if (key) {
        things.has(key) ? things.get(key).push(thing) : things.set(key, [thing]);
      }
    }
    return things;
  }

  // ---- details

  const DETAIL = 'detail-';
  const details = new Map([...document.querySelectorAll('dialog')].map((dialog) =>
    [dialog.id.slice(DETAIL.length), dialog]));
  const TO_OPEN = 'click for details';

  // The address says what is open, so that links, back and forward work.
  function openDetail(key) {
    location.hash = DETAIL + key;
  }

  // ---- tables

  const texts = new Intl.Collator('en', {numeric: true});

  function isMissing(cell) {
    return cell.textContent === '' || cell.textContent === '-';
  }

  function compareCells(a, b, isNumeric, sign) {
    if (isMissing(a) || isMissing(b)) {
      return Number(isMissing(a)) - Number(isMissing(b));
    }
    return sign * (isNumeric ? Number(a.dataset.value) - Number(b.dataset.value) :
      texts.compare(a.textContent, b.textContent));
  }

  function setUpTable(section) {
    const title = section.querySelector('h2, h3').textContent;
    const body = section.querySelector('tbody');
    const headers = [...section.querySelectorAll('th')];
    const rows = [...body.rows];  // as they came
    const save = section.querySelector('.csv');

    function sortBy(column, order) {
      headers.forEach((header, i) => {
        if (i === column && order !== 'none') {
          header.setAttribute('aria-sort', order);
        } else {
          header.removeAttribute('aria-sort');
        }
      });
      const isNumeric = headers[column].classList.contains('number');
      const sign = order === 'descending' ? -1 : 1;
      const sorted = order === 'none' ? rows : [...rows].sort((a, b) =>
        compareCells(a.cells[column], b.cells[column], isNumeric, sign));
      body.append(...sorted);
    }

    headers.forEach((header, column) => {
      const next = {ascending: 'descending', descending: 'none'};
      header.title = 'Sort: up, down, as it was';
      header.querySelector('button').addEventListener('click', () =>
        sortBy(column, next[header.getAttribute('aria-sort')] ?? 'ascending'));
    });

    const filter = section.querySelector('input');
    function showRows() {
      const words = (filter?.value ?? '').toLowerCase().split(/\s+/).filter(Boolean);
      let shown = 0;
      for (const row of rows) {
        const text = words.length === 0 ? '' : [...row.cells].map((cell) =>
          `${cell.textContent} ${cell.dataset.value ?? ''}`).join(' ').toLowerCase();
        const isHidden = isOut(row.dataset.key) || !words.every((word) => text.includes(word));
        if (row.hidden !== isHidden) {
          row.hidden = isHidden;
        }
        shown += isHidden ? 0 : 1;
      }
      const isPart = shown < rows.length;
      section.querySelector('.shown').textContent =
        isPart ? `${numberText(shown)} of ${numberText(rows.length)} rows` : '';
      save.textContent = isPart ? 'Download CSV of these rows' : 'Download CSV';
    }
    filter?.addEventListener('input', showRows);

    const keyed = byKey(rows.map((row) => [row.dataset.key, row]));
    if (keyed.size > 0) {
      let marked = [];
      link({
        filter: showRows,
        point: (key) => {
          marked.forEach((row) => row.classList.remove('pointed'));
          marked = keyed.get(key) ?? [];
          marked.forEach((row) => row.classList.add('pointed'));
        },
      });
      body.addEventListener('mouseover', (event) =>
        pointAt(event.target.closest('tr')?.dataset.key ?? ''));
      body.addEventListener('mouseleave', () => pointAt(''));
    }

    save.addEventListener('click', () => {
      const titles = headers.map((header) => {
        const unit = (header.dataset.unit ?? '').trim();
        return header.textContent + (unit ? ` (${unit})` : '');
      });
      const shown = [...body.rows].filter((row) => !row.hidden);
      saveCsv(title, [titles, ...shown.map((row) =>
        [...row.cells].map((cell) => cell.dataset.value ?? cell.textContent))]);
    });
  }

  // ---- charts

  // Told apart by more than colour: by markers and dashes, or by hatching.
  const LIGHT = ['#0067a5', '#c8500a', '#0a7d5a', '#a8437f', '#8a6a00', '#3a8fc8', '#555b63',
    '#7a2a1e'];
  const DARK = ['#5cb3ee', '#ff9b57', '#43cfa0', '#e895c6', '#edc64f', '#a5b9ff', '#b9bfc7',
    '#ff8d86'];
  const MARKERS = ['circle', 'rect', 'triangle', 'rectRot', 'crossRot', 'circle', 'rect', 'star'];
  const HOLLOW = [false, true, false, true, false, true, false, false];
  const DASHES = [[], [8, 4], [2, 3], [10, 3, 2, 3], [14, 4], [5, 2], [2, 6], [10, 3, 2, 3, 2, 3]];
  const STROKED = ['crossRot', 'star'];
  const TILE = 8;
  const MOST_RINGS = 20;
  const PALE = '70';  // behind a colour: see-through
  const MOST_NOTES = 4;  // of points that lie on each other
  const ON_PAPER = {width: 690, height: 850, row: 12, devicePixelRatio: 3};  // A4 and letter

  const dark = matchMedia('(prefers-color-scheme: dark)');
  const isPrinting = () => root.classList.contains('printing');
  const isDark = () => dark.matches && !isPrinting();
  const variable = (name) => getComputedStyle(root).getPropertyValue(name).trim();
  const colourOf = (index) => (isDark() ? DARK : LIGHT)[index % LIGHT.length];

  // The fill of a series of bars.
  function hatching(index, context) {
    const kind = index % LIGHT.length;
    const colour = colourOf(index);
    if (kind === 0) {
      return colour;
    }
    const scale = 4;
    const tile = document.createElement('canvas');
    tile.width = tile.height = TILE * scale;
    const pen = tile.getContext('2d');
    pen.scale(scale, scale);
    pen.fillStyle = variable('--paper');
    pen.fillRect(0, 0, TILE, TILE);
    pen.globalAlpha = 0.22;
    pen.fillStyle = colour;
    pen.fillRect(0, 0, TILE, TILE);
    pen.globalAlpha = 1;
    pen.strokeStyle = colour;
    pen.lineWidth = 2;
    const line = (x1, y1, x2, y2) => {
      pen.beginPath();
      pen.moveTo(x1, y1);
      pen.lineTo(x2, y2);
      pen.stroke();
    };
    const half = TILE / 2;
    if (kind === 1 || kind === 4) {  // rising
      line(-1, TILE + 1, TILE + 1, -1);
      line(-1, 1, 1, -1);
      line(TILE - 1, TILE + 1, TILE + 1, TILE - 1);
    }
    if (kind === 3 || kind === 4) {  // falling
      line(-1, -1, TILE + 1, TILE + 1);
      line(TILE - 1, -1, TILE + 1, 1);
      line(-1, TILE - 1, 1, TILE + 1);
    }
    if (kind === 5 || kind === 7) {
      line(0, half, TILE, half);
    }
    if (kind === 6 || kind === 7) {
      line(half, 0, half, TILE);
    }  // 2: the tint alone
    const pattern = context.createPattern(tile, 'repeat');
    pattern.setTransform(new DOMMatrix().scale(1 / scale));
    return pattern;
  }

  function niceStep(rough) {
    const power = 10 ** Math.floor(Math.log10(rough));
    return power * [1, 2, 5, 10].find((factor) => factor * power >= rough * 0.999);
  }

  // Where a logarithmic axis is labelled.
  function logTicks(low, high) {
    const decades = Math.log10(high) - Math.log10(low);
    if (decades < 0.4) {
      const step = niceStep((high - low) / 7);
      const first = Math.ceil(low / step);
      const count = Math.floor(high / step) - first + 1;
      return Array.from({length: Math.max(count, 0)}, (_, i) =>
        Number(((first + i) * step).toPrecision(12)));
    }
    const factors = decades < 1.5 ? [1, 1.5, 2, 3, 4, 5, 7] : decades < 4 ? [1, 2, 5] : [1];
    const stride = Math.max(1, Math.ceil(decades / 10));
    const ticks = [];
    for (let e = Math.floor(Math.log10(low)); e <= Math.ceil(Math.log10(high)); e += stride) {
      ticks.push(...factors.map((factor) => Number(`${factor}e${e}`)));
    }
    return ticks.filter((tick) => tick >= low && tick <= high);
  }

  function axisTitle(text) {
    return {display: text !== '', text, font: {size: 13}};
  }

  function axis(label, isLog, hasBars) {
    const title = shortened(label, 70) + (isLog ? `${label ? ', ' : ''}log scale` : '');
    return {
      type: isLog ? 'logarithmic' : 'linear',
      bounds: isLog ? 'data' : 'ticks',
      title: axisTitle(title),
      ticks: {callback: (value) => numberText(value), maxRotation: 0},
      ...(isLog ? {
        afterDataLimits: (scale) => {
          const margin = Math.min(Math.max((scale.max / scale.min) ** 0.04, 1.02), 10);
          // Bars begin where the least of them would not vanish.
          scale.min = hasBars ? 10 ** Math.floor(Math.log10(scale.min / 1.5)) : scale.min / margin;
          scale.max *= margin;
        },
        afterBuildTicks: (scale) => {
          scale.ticks = logTicks(scale.min, scale.max).map((value) => ({value}));
        },
      } : {}),
    };
  }

  // The key of one of Chart.js's elements or items of a tooltip.
  function keyOf(data, {datasetIndex, index, dataIndex}) {
    return data.series[datasetIndex].keys[index ?? dataIndex] ?? '';
  }

  function detailOf(data, elements) {
    return elements.map((element) => keyOf(data, element)).find((key) => details.has(key));
  }

  function footerLines(data, items) {
    const more = items.length ? items[0].chart.getActiveElements().length - items.length : 0;
    return [...(more > 0 ? [`and ${numberText(more)} more here`] : []),
      ...(detailOf(data, items) ? [TO_OPEN] : [])];
  }

  function pointsConfig(data) {
    const named = (label, value) => (label ? `${label}: ` : '') + numberText(value);
    const isAlone = data.series.length === 1 && !data.series[0].name;
    return {
      type: 'scatter',
      data: {
        datasets: data.series.map((series, i) => {
          const count = series.x.length;
          const marker = MARKERS[i % MARKERS.length];
          const radius = series.faint ? (count > 1500 ? 2.4 : 3) :
            count > 300 ? 2.5 : count > 80 ? 3.5 : 4.5;
          return {
            label: series.name,
            data: series.x.map((x, k) => ({x, y: series.y[k]})),
            showLine: series.line,
            stepped: series.stepped ? 'before' : false,
            borderWidth: 2,
            borderDash: DASHES[i % DASHES.length],
            order: series.faint ? 1 : 0,
            pointStyle: marker,
            pointBorderWidth: series.faint && !STROKED.includes(marker) ? 0 : 1,
            pointRadius: radius,
            pointHoverRadius: radius + 2,
            pointHitRadius: series.faint ? 4 : 8,
            clip: 10,
          };
        }),
      },
      options: {
        interaction: {mode: 'nearest', intersect: true},
        scales: {
          x: {...axis(data.x_label, data.log_x, false), grace: '3%'},
          y: {...axis(data.y_label, data.log_y, false), grace: '5%'},
        },
        plugins: {
          tooltip: {
            filter: (_, index) => index < MOST_NOTES,
            callbacks: {
              title: () => '',
              label: (item) => {
                const series = data.series[item.datasetIndex];
                const note = series.notes[item.dataIndex];
                return [
                  ...(isAlone ? [] : wrapped(series.name, 70)),
                  ...(note ? wrapped(note, 70) : []),
                  named(data.x_label, item.parsed.x),
                  named(data.y_label, item.parsed.y),
                ];
              },
              footer: (items) => footerLines(data, items),
            },
          },
        },
      },
    };
  }

  function rowHeight(data) {
    const room = data.categories.length > 20 ? 17 : 26;
    const wanted = data.kind === 'bars' ? Math.max(room, 7 * data.series.length + 6) : room;
    return Math.min(wanted, 15000 / data.categories.length);  // browsers limit what they draw on
  }

  function barsConfig(data) {
    const isStacked = data.kind === 'stacked_bars';
    return {
      type: 'bar',
      data: {
        labels: data.categories,
        datasets: data.series.map((series) => ({
          label: series.name,
          data: series.y,
          borderWidth: 1,
          barPercentage: isStacked ? 0.95 : 0.98,
          categoryPercentage: 0.82,
          maxBarThickness: 26,
        })),
      },
      options: {
        indexAxis: 'y',
        interaction: {mode: 'index', axis: 'y', intersect: false},
        scales: {
          x: {
            ...axis(data.y_label, data.log_y, true),
            beginAtZero: !data.log_y,
            stacked: isStacked,
            position: data.categories.length > 25 ? 'top' : 'bottom',
          },
          y: {
            type: 'category',
            stacked: isStacked,
            title: axisTitle(shortened(data.x_label, 30)),
            ticks: {
              autoSkip: rowHeight(data) < 11,
              font: {size: 11.5},
              callback: (_, index) => shortened(data.categories[index], 30),
            },
            grid: {display: false},
          },
        },
        plugins: {
          tooltip: {
            callbacks: {
              title: (items) => items.length ? wrapped(items[0].label, 70) : '',
              beforeBody: () => data.y_label ? wrapped(data.y_label, 70) : [],
              label: (item) => {
                const series = data.series[item.datasetIndex];
                const note = series.notes[item.dataIndex];
                const value = (series.name ? `${series.name}: ` : '') + numberText(item.parsed.x);
                return [...wrapped(value, 70), ...(note ? wrapped(note, 70) : [])];
              },
              footer: (items) => [
                ...(isStacked && items.length > 1 ?
                  [`together: ${numberText(items.reduce((sum, item) => sum + item.parsed.x, 0))}`] :
                  []),
                ...(detailOf(data, items) ? [TO_OPEN] : []),
              ],
            },
          },
        },
      },
    };
  }

  function chartRows(data) {
    if (data.categories.length === 0) {
      const hasNotes = data.series.some((series) => series.notes.length > 0);
      const titles = ['series', data.x_label || 'x', data.y_label || 'y'];
      return [hasNotes ? [...titles, 'note'] : titles, ...data.series.flatMap((series) =>
        series.x.map((x, i) => [series.name, x, series.y[i],
          ...(hasNotes ? [series.notes[i] ?? ''] : [])]))];
    }
    const columns = data.series.flatMap((series) => series.notes.length ?
      [[series.name, series.y], [`${series.name} note`, series.notes]] : [[series.name, series.y]]);
    return [[data.x_label || 'category', ...columns.map(([name]) => name)],
      ...data.categories.map((category, i) =>
        [category, ...columns.map(([, values]) => values[i])])];
  }

  // A sample of line and marker, or of hatching.
  function drawSample(canvas, index, series, hasBars) {
    const scale = 3;
    const [width, height] = [34, 14];
    canvas.width = width * scale;
    canvas.height = height * scale;
    const pen = canvas.getContext('2d');
    pen.scale(scale, scale);
    pen.strokeStyle = colourOf(index);
    if (hasBars) {
      pen.fillStyle = hatching(index, pen);
      pen.fillRect(5, 1, width - 10, height - 2);
      pen.strokeRect(5.5, 1.5, width - 11, height - 3);
      return;
    }
    pen.lineWidth = 2;
    if (series.line) {
      pen.setLineDash(DASHES[index % DASHES.length]);
      pen.beginPath();
      pen.moveTo(0, height / 2);
      pen.lineTo(width, height / 2);
      pen.stroke();
      pen.setLineDash([]);
    }
    const isHollow = HOLLOW[index % HOLLOW.length] && !series.faint;
    pen.fillStyle = isHollow ? variable('--paper') : colourOf(index);
    pen.globalAlpha = series.faint ? 0.5 : 1;
    Chart.helpers.drawPoint(pen, {pointStyle: MARKERS[index % MARKERS.length],
      radius: series.faint ? 3 : 4.5, rotation: 0, borderWidth: series.faint ? 0 : 2},
    width / 2, height / 2);
  }

  // All that is drawn: {section, paint(), beforePrint(), afterPrint()}.
  const views = [];

  // Puts the page's present colours on a chart and its legend.
  function paintChart({chart, data, samples, hasBars}) {
    const [ink, faint, line, paper] =
      ['--ink', '--faint', '--line', '--paper'].map(variable);
    data.series.forEach((series, i) => {
      const dataset = chart.data.datasets[i];
      const colour = colourOf(i);
      dataset.borderColor = colour;
      dataset.backgroundColor = hasBars ? hatching(i, chart.ctx) : colour;
      if (!hasBars) {
        const fill = HOLLOW[i % HOLLOW.length] && !series.faint ? paper : colour;
        const pale = series.faint ? PALE : '';
        dataset.pointBorderColor = colour + pale;
        dataset.pointBackgroundColor = fill + pale;
        dataset.pointHoverBackgroundColor = fill;
      }
      if (samples[i]) {
        drawSample(samples[i], i, series, hasBars);
      }
    });
    for (const scale of Object.values(chart.options.scales)) {
      scale.ticks.color = faint;
      scale.title.color = ink;
      scale.grid.color = line;
      scale.grid.borderColor = faint;
    }
    Object.assign(chart.options.plugins.tooltip, {backgroundColor: paper, borderColor: faint,
      titleColor: ink, bodyColor: ink, footerColor: ink});
    chart.update();
  }

  // One button per series that shows and hides it; returns their samples.
  function addLegend(section, chart, data) {
    if (data.series.length === 1 && !data.series[0].name) {
      return [];
    }
    return data.series.map((series, i) => {
      const button = document.createElement('button');
      const sample = document.createElement('canvas');
      button.type = 'button';
      button.title = series.name;
      button.setAttribute('aria-pressed', 'true');
      button.append(sample, shortened(series.name, 60));
      button.addEventListener('click', () => {
        const isShown = !chart.isDatasetVisible(i);
        button.setAttribute('aria-pressed', String(isShown));
        chart.setDatasetVisibility(i, isShown);
        chart.update();
      });
      section.querySelector('.legend').append(button);
      return sample;
    });
  }

  // The whole name of a shortened category under the pointer.
  function nameUnder(event, chart, data) {
    if (event.offsetX >= chart.chartArea.left) {
      return '';
    }
    const index = chart.scales.y.getValueForPixel(event.offsetY);
    return data.categories[index] ?? '';
  }

  // Points and bars that ranges leave out turn grey and say nothing.
  function greyOut(chart, data) {
    if (leftOut.size === 0) {
      return;
    }
    const grey = variable('--line');
    data.series.forEach((series, i) => {
      const elements = chart.getDatasetMeta(i).data;
      series.keys.forEach((key, k) => {
        const {options} = elements[k];
        if (options && isOut(key)) {
          elements[k].options = {...options, backgroundColor: grey, borderColor: grey,
            radius: Math.min(options.radius, 2), hitRadius: -2};
        }
      });
    });
  }

  // Rings around points and bars, laid over the canvas, which need not be drawn again.
  function ringAround(chart, i, k) {
    const element = chart.getDatasetMeta(i).data[k];
    const isBar = element.base !== undefined;
    const [left, right] = isBar ? [element.base, element.x].sort((a, b) => a - b) :
      [element.x, element.x];
    const half = isBar ? element.height / 2 : 0;
    const ring = document.createElement('i');
    ring.className = isBar ? 'ring bar-ring' : 'ring';
    Object.assign(ring.style, {left: `${left}px`, width: `${right - left}px`,
      top: `${element.y - half}px`, height: `${2 * half}px`});
    return ring;
  }

  function linkChart(drawing, chart, data) {
    const canvas = chart.canvas;
    const keyed = byKey(data.series.flatMap((series, i) =>
      series.keys.map((key, k) => [key, [i, k]])));
    if (keyed.size === 0) {
      return;
    }
    link({
      filter: () => chart.update(),
      point: (key) => {
        drawing.querySelectorAll('.ring').forEach((ring) => ring.remove());
        drawing.append(...(keyed.get(key) ?? []).slice(0, MOST_RINGS)
          .filter(([i]) => chart.isDatasetVisible(i))
          .map(([i, k]) => ringAround(chart, i, k)));
      },
    });
    const {interaction} = chart.options;
    const under = (event) =>
      chart.getElementsAtEventForMode(event, interaction.mode, interaction, true);
    canvas.addEventListener('mousemove', (event) => {
      const elements = under(event);
      canvas.style.cursor = detailOf(data, elements) ? 'pointer' : '';
      pointAt(elements.map((element) => keyOf(data, element)).find(Boolean) ?? '');
    });
    canvas.addEventListener('mouseleave', () => pointAt(''));
    canvas.addEventListener('click', (event) => {
      const key = detailOf(data, under(event));
      if (key) {
        openDetail(key);
      }
    });
  }

  function sayEmpty(drawing) {
    const note = document.createElement('p');
    note.className = 'empty';
    note.textContent = 'There is nothing to draw.';
    drawing.replaceChildren(note);
  }

  function setUpChart(section) {
    const data = JSON.parse(section.querySelector('script').textContent);
    const canvas = section.querySelector('canvas');
    const drawing = section.querySelector('.drawing');
    section.querySelector('.csv').addEventListener('click', () =>
      saveCsv(data.title, chartRows(data)));
    if (data.series.every((series) => series.y.length === 0)) {
      sayEmpty(drawing);
      return;
    }
    const hasBars = data.categories.length > 0;
    const height = hasBars ?
      Math.round(Math.max(data.categories.length * rowHeight(data), 70)) + 75 : 430;
    drawing.style.height = `${height}px`;
    const config = hasBars ? barsConfig(data) : pointsConfig(data);
    Object.assign(config.options,
      {animation: false, maintainAspectRatio: false, layout: {padding: {right: 12}}});
    Object.assign(config.options.plugins, {legend: {display: false}});
    Object.assign(config.options.plugins.tooltip,
      {borderWidth: 1, padding: 9, displayColors: hasBars, boxPadding: 4, caretSize: 4,
        multiKeyBackground: 'transparent'});
    config.options.font = {family: getComputedStyle(document.body).fontFamily, size: 12};
    config.plugins = [{id: 'ranges', afterUpdate: (chart) => greyOut(chart, data)}];
    const chart = new Chart(canvas, config);
    const parts = {chart, data, hasBars, samples: addLegend(section, chart, data)};
    const view = {
      section,
      paint: () => paintChart(parts),
      beforePrint: () => {
        view.screenRatio = chart.options.devicePixelRatio;
        chart.options.devicePixelRatio = ON_PAPER.devicePixelRatio;
        const least = data.categories.length * ON_PAPER.row;
        chart.resize(ON_PAPER.width, Math.min(height, Math.max(ON_PAPER.height, least)));
      },
      afterPrint: () => {
        chart.options.devicePixelRatio = view.screenRatio;
        chart.resize();
      },
    };
    if (hasBars) {
      canvas.addEventListener('mousemove', (event) => {
        canvas.title = nameUnder(event, chart, data);
      });
    }
    linkChart(drawing, chart, data);
    views.push(view);
    view.paint();
  }

  // ---- parallel axes

  const AXES = {
    left: 96, right: 58, bottom: 16, length: 400, least: 72, lineHeight: 15,  // of the drawing
    reach: 14,    // of the pointer to an axis
    near: 6,      // and to a line
    spread: 9,    // of the lines through one of few values, which would hide each other
    pause: 250,   // milliseconds between changes of other parts while a range is dragged
  };

  // Where an axis is labelled that has many values.
  function axisTicks(log, low, high) {
    if (log) {
      return logTicks(low, high);
    }
    const step = niceStep((high - low) / 7);
    const first = Math.ceil(low / step);
    return Array.from({length: Math.floor(high / step) - first + 1}, (_, i) =>
      Number(((first + i) * step).toPrecision(12)));
  }

  // Places on an axis are between 0, below, and 1.
  function axisScale(axis) {
    const {categories, values} = axis;
    const low = categories.length ? 0 : values.reduce((a, b) => Math.min(a, b));
    const high = categories.length ? categories.length - 1 :
      values.reduce((a, b) => Math.max(a, b));
    const of = axis.log ? Math.log : (value) => value;
    const placeOf = (value) => high > low ? (of(value) - of(low)) / (of(high) - of(low)) : 0.5;
    const different = categories.length ? [...categories.keys()] :
      [...new Set(values)].sort((a, b) => a - b);
    const isMany = categories.length === 0 && different.length > 9;
    const places = values.map(placeOf);
    const spread = AXES.spread / AXES.length;
    return {
      places,
      drawn: isMany ? places : places.map((place, i) => place + spread * ((i * 0.618) % 1 - 0.5)),
      ticks: (isMany ? axisTicks(axis.log, low, high) : different).map((value) =>
        ({value, place: placeOf(value)})),
      text: (value) => categories.length ? categories[value] : numberText(value),
      title: axis.name + (axis.log ? ', log' : ''),
    };
  }

  function axesRows(data, scales, kept) {
    const hasMarked = data.marked.includes(1);
    const rows = data.names.map((name, i) => [name,
      ...data.axes.map(({categories, values}) => categories[values[i]] ?? values[i]),
      ...(hasMarked ? [data.marked[i] ? 'yes' : 'no'] : [])]);
    return [['name', ...data.axes.map(({name}) => name), ...(hasMarked ? [data.marked_name] : [])],
      ...rows.filter((_, i) => kept[i])];
  }

  function setUpAxes(section) {
    const data = JSON.parse(section.querySelector('script').textContent);
    const count = data.names.length;
    const drawing = section.querySelector('.drawing');
    const save = section.querySelector('.csv');
    const kept = new Uint8Array(count).fill(1);
    save.addEventListener('click', () => saveCsv(data.title, axesRows(data, scales, kept)));
    const scales = count === 0 ? [] : data.axes.map(axisScale);
    if (count === 0) {
      section.querySelectorAll('.hint, .reset').forEach((element) => { element.hidden = true; });
      sayEmpty(drawing);
      return;
    }

    const ranges = scales.map(() => null);  // [low, high] of the places that an axis keeps
    const status = section.querySelector('.shown');
    const reset = section.querySelector('.reset');
    const keyed = byKey(data.keys.map((key, i) => [key, i]));
    const hasMarked = data.marked.includes(1);
    const isHidden = [false, false];  // others, marked
    const indices = [...data.names.keys()];
    const inOrder = [0, 1].flatMap((marked) => indices.filter((i) => data.marked[i] === marked));
    const tip = document.createElement('div');
    tip.className = 'tip';
    tip.hidden = true;
    // All lines in grey; those that are kept; axes, ranges and the line under the pointer.
    const [ghosts, lines, front] = [0, 1, 2].map(() => document.createElement('canvas'));
    drawing.append(ghosts, lines, front, tip);

    // -- places on the drawing

    let width, gap, top, ratio;
    const xOf = (axis) => AXES.left + axis * gap;
    const yOf = (place) => top + (1 - place) * AXES.length;
    const placeAt = (y) => Math.min(Math.max(1 - (y - top) / AXES.length, 0), 1);
    const charactersIn = (pixels) => Math.max(Math.floor(pixels / 6.6), 4);
    let titles;

    function layOut(room, pixelRatio) {
      ratio = pixelRatio;
      gap = Math.max((room - AXES.left - AXES.right) / (scales.length - 1),
        isPrinting() ? 0 : AXES.least);
      width = Math.round(AXES.left + AXES.right + gap * (scales.length - 1));
      titles = scales.map(({title}) =>
        wrapped(title, charactersIn(Math.min(gap - 6, 2 * AXES.right - 4))).slice(0, 4));
      top = 14 + AXES.lineHeight * Math.max(...titles.map((texts) => texts.length));
      const height = top + AXES.length + AXES.bottom;
      drawing.style.height = `${height}px`;
      for (const canvas of [ghosts, lines, front]) {
        canvas.width = width * ratio;
        canvas.height = height * ratio;
        canvas.style.width = `${width}px`;
        canvas.style.height = `${height}px`;
      }
    }

    // -- what is kept

    const isIn = (i) => ranges.every((range, axis) =>
      !range || (range[0] <= scales[axis].places[i] && scales[axis].places[i] <= range[1]));

    function keep() {
      indices.forEach((i) => {
        kept[i] = isIn(i) && !isOut(data.keys[i], ranges) ? 1 : 0;
      });
      const left = kept.reduce((sum, one) => sum + one, 0);
      status.textContent =
        `${left < count ? `${numberText(left)} of ` : ''}${numberText(count)} ${data.lines_name}`;
      save.textContent = left < count ? 'Download CSV of these' : 'Download CSV';
      reset.disabled = ranges.every((range) => range === null);
      ghosts.hidden = left === count;
    }

    function tellOthers() {
      const out = new Set(data.keys.filter((key, i) => key && !isIn(i)));
      data.keys.forEach((key, i) => out.has(key) && isIn(i) && out.delete(key));
      leaveOut(ranges, out);
    }

    // -- drawing

    let hovered = -1;
    let frame = 0;

    function penOf(canvas) {
      const pen = canvas.getContext('2d');
      pen.setTransform(ratio, 0, 0, ratio, 0, 0);
      pen.clearRect(0, 0, canvas.width, canvas.height);
      pen.lineJoin = 'round';
      return pen;
    }

    function drawLine(pen, i) {
      pen.beginPath();
      scales.forEach(({drawn}, axis) => pen.lineTo(xOf(axis), yOf(drawn[i])));
      pen.stroke();
    }

    const thinner = (lineCount) => Math.min(Math.max(12 / Math.sqrt(lineCount), 0.12), 0.8);

    function drawGhosts() {
      const pen = penOf(ghosts);
      pen.strokeStyle = variable('--line');
      pen.globalAlpha = thinner(count);
      indices.forEach((i) => drawLine(pen, i));
    }

    function drawKept() {
      const pen = penOf(lines);
      const shown = inOrder.filter((i) => kept[i] && !isHidden[data.marked[i]]);
      const alpha = thinner(shown.filter((i) => !data.marked[i]).length);
      const [strong, pale] = [colourOf(0), hasMarked ? variable('--thread') : colourOf(0)];
      for (const i of shown) {
        const isStrong = data.marked[i] === 1;
        pen.strokeStyle = isStrong ? strong : pale;
        pen.globalAlpha = isStrong ? 0.9 : alpha;
        pen.lineWidth = isStrong ? 2 : 1;
        drawLine(pen, i);
      }
    }

    function drawText(pen, text, x, y) {
      pen.strokeText(text, x, y);
      pen.fillText(text, x, y);
    }

    function drawAxis(pen, axis, colours) {
      const {ticks, text} = scales[axis];
      const x = xOf(axis);
      pen.strokeStyle = colours.ink;
      pen.lineWidth = 1;
      pen.beginPath();
      pen.moveTo(x, yOf(1) - 5);
      pen.lineTo(x, yOf(0) + 5);
      const room = charactersIn(axis === 0 ? AXES.left - 12 : gap - 18);
      const labels = [];
      for (const tick of ticks) {
        const y = yOf(tick.place);
        pen.moveTo(x - 4, y);
        pen.lineTo(x, y);
        if (labels.every((label) => Math.abs(label.y - y) >= 14)) {
          labels.push({y, text: shortened(text(tick.value), room)});
        }
      }
      pen.stroke();
      if (ranges[axis]) {
        const [low, high] = ranges[axis].map(yOf);
        pen.strokeStyle = pen.fillStyle = colours.link;
        pen.globalAlpha = 0.2;
        pen.fillRect(x - 9, high, 18, low - high);
        pen.globalAlpha = 1;
        pen.strokeRect(x - 9, high, 18, low - high);
      }
      pen.strokeStyle = colours.paper;
      pen.lineWidth = 3;
      pen.fillStyle = colours.ink;
      pen.textAlign = 'right';
      labels.forEach((label) => drawText(pen, label.text, x - 8, label.y));
      pen.textAlign = 'center';
      titles[axis].forEach((title, line) => drawText(pen, title, x,
        top - 16 - AXES.lineHeight * (titles[axis].length - 1 - line)));
    }

    function drawFront() {
      const pen = penOf(front);
      const colours = Object.fromEntries(['ink', 'paper', 'link'].map((name) =>
        [name, variable(`--${name}`)]));
      pen.font = `12px ${getComputedStyle(document.body).fontFamily}`;
      pen.textBaseline = 'middle';
      const strong = new Set([...(keyed.get(pointed) ?? []), ...(hovered >= 0 ? [hovered] : [])]);
      for (const [colour, lineWidth] of [[colours.paper, 6], [colours.ink, 2.8]]) {
        Object.assign(pen, {strokeStyle: colour, lineWidth});
        strong.forEach((i) => drawLine(pen, i));
      }
      scales.forEach((_, axis) => drawAxis(pen, axis, colours));
    }

    // On paper a canvas hides what is below it.
    function mergeLayers() {
      const pen = front.getContext('2d');
      pen.setTransform(1, 0, 0, 1, 0, 0);
      pen.globalCompositeOperation = 'destination-over';
      [lines, ...(ghosts.hidden ? [] : [ghosts])].forEach((layer) => pen.drawImage(layer, 0, 0));
      pen.globalCompositeOperation = 'source-over';
    }

    function drawSoon(hasNewLines) {
      drawSoon.hasNewLines ||= hasNewLines;
      frame ||= requestAnimationFrame(() => {
        frame = 0;
        if (isPrinting()) {
          return;  // all is painted again after it
        }
        if (drawSoon.hasNewLines) {
          drawKept();
        }
        drawSoon.hasNewLines = false;
        drawFront();
      });
    }

    // -- the pointer

    const axisUnder = (x) => scales.findIndex((_, axis) => Math.abs(xOf(axis) - x) <= AXES.reach);

    function lineUnder(x, y) {
      const axis = Math.min(Math.max(Math.floor((x - AXES.left) / gap), 0), scales.length - 2);
      const part = Math.min(Math.max((x - xOf(axis)) / gap, 0), 1);
      if (Math.abs(x - xOf(axis + part)) > AXES.near) {
        return -1;
      }
      const [before, after] = [scales[axis].drawn, scales[axis + 1].drawn];
      let nearest = -1;
      let least = AXES.near;
      for (const i of inOrder) {
        if (!kept[i] || isHidden[data.marked[i]]) {
          continue;
        }
        const rise = (after[i] - before[i]) * AXES.length;
        const off = Math.abs(yOf(before[i] + part * (after[i] - before[i])) - y);
        const distance = off * gap / Math.hypot(gap, rise) - (data.marked[i] ? 2 : 0);
        if (distance <= least) {
          [nearest, least] = [i, distance];
        }
      }
      return nearest;
    }

    function showTip(event) {
      tip.hidden = hovered < 0;
      if (tip.hidden) {
        return;
      }
      const name = document.createElement('b');
      name.textContent = data.names[hovered];
      const values = scales.map(({text}, axis) =>
        `${data.axes[axis].name}: ${text(data.axes[axis].values[hovered])}`);
      const toOpen = details.has(data.keys[hovered]) ? [TO_OPEN] : [];
      tip.replaceChildren(name, ...[...values, ...toOpen].map((text) => {
        const line = document.createElement('div');
        line.textContent = text;
        return line;
      }));
      const isLeft = event.clientX > innerWidth / 2;
      tip.style.left = isLeft ? 'auto' : `${event.clientX + 16}px`;
      tip.style.right = isLeft ? `${root.clientWidth - event.clientX + 16}px` : 'auto';
      tip.style.top =
        `${Math.max(Math.min(event.clientY - 20, innerHeight - tip.offsetHeight - 8), 8)}px`;
    }

    function hover(event, line) {
      front.style.cursor = axisUnder(event.offsetX) >= 0 ? 'ns-resize' :
        details.has(data.keys[line]) ? 'pointer' : '';
      if (line !== hovered) {
        hovered = line;
        drawSoon(false);
        pointAt(data.keys[line] ?? '');
      }
      showTip(event);
    }

    let drag = null;
    let pause = 0;

    function change() {
      keep();
      drawSoon(true);
      pause ||= setTimeout(() => {
        pause = 0;
        tellOthers();
      }, drag ? AXES.pause : 0);
    }

    front.addEventListener('pointerdown', (event) => {
      const axis = axisUnder(event.offsetX);
      if (event.button === 0 && axis >= 0) {
        front.setPointerCapture(event.pointerId);
        drag = {axis, from: event.offsetY, isMoved: false};
      }
      hover(event, drag ? -1 : lineUnder(event.offsetX, event.offsetY));
    });
    front.addEventListener('pointermove', (event) => {
      if (!drag) {
        hover(event, lineUnder(event.offsetX, event.offsetY));
        return;
      }
      drag.isMoved ||= Math.abs(event.offsetY - drag.from) > 3;
      if (drag.isMoved) {
        ranges[drag.axis] = [drag.from, event.offsetY].map(placeAt).sort((a, b) => a - b);
        change();
      }
    });
    const drop = () => {
      if (drag) {
        if (!drag.isMoved) {
          ranges[drag.axis] = null;
        }
        drag = null;
        change();
      }
    };
    front.addEventListener('pointerup', drop);
    front.addEventListener('pointercancel', drop);
    front.addEventListener('pointerleave', (event) => hover(event, -1));
    front.addEventListener('click', () => {
      if (details.has(data.keys[hovered])) {
        openDetail(data.keys[hovered]);
      }
    });
    reset.addEventListener('click', () => {
      ranges.fill(null);
      change();
    });

    // -- the legend

    const samples = !hasMarked ? [] : [1, 0].filter((marked) => data.marked.includes(marked)).map(
      (marked) => {
        const button = document.createElement('button');
        const sample = document.createElement('canvas');
        const those = data.marked.filter((one) => one === marked).length;
        button.type = 'button';
        button.setAttribute('aria-pressed', 'true');
        button.append(sample, `${marked ? data.marked_name : 'others'} (${numberText(those)})`);
        button.addEventListener('click', () => {
          isHidden[marked] = !isHidden[marked];
          button.setAttribute('aria-pressed', String(!isHidden[marked]));
          drawSoon(true);
        });
        section.querySelector('.legend').append(button);
        return {sample, marked};
      });

    function drawSamples() {
      for (const {sample, marked} of samples) {
        [sample.width, sample.height] = [34 * 3, 14 * 3];
        const pen = sample.getContext('2d');
        pen.scale(3, 3);
        pen.strokeStyle = marked ? colourOf(0) : variable('--thread');
        pen.lineWidth = marked ? 2.4 : 1.5;
        pen.beginPath();
        pen.moveTo(0, 7);
        pen.lineTo(34, 7);
        pen.stroke();
      }
    }

    // -- together

    const view = {
      section,
      paint: () => {
        drawGhosts();
        drawKept();
        drawFront();
        drawSamples();
        if (isPrinting()) {
          mergeLayers();
        }
      },
      beforePrint: () => layOut(ON_PAPER.width, ON_PAPER.devicePixelRatio),
      afterPrint: () => layOut(drawing.clientWidth, devicePixelRatio),
    };
    if (keyed.size > 0) {
      link({
        point: () => drawSoon(false),
        filter: () => {
          keep();
          drawSoon(true);
        },
      });
    }
    keep();
    let room = drawing.clientWidth;
    layOut(room, devicePixelRatio);
    view.paint();
    views.push(view);
    new ResizeObserver(() => {
      if (drawing.clientWidth > 0 && drawing.clientWidth !== room &&
          !isPrinting()) {
        room = drawing.clientWidth;
        layOut(room, devicePixelRatio);
        view.paint();
      }
    }).observe(drawing);
  }

  // ---- the page

  const setUps = {table: setUpTable, chart: setUpChart, axes: setUpAxes};

  function setUp(parent) {
    parent.querySelectorAll('section').forEach((section) => setUps[section.className](section));
  }

  setUp(document.querySelector('main'));

  let isOpenedHere = false;  // by a click on this page, to which closing goes back

  function showDetail() {
    const dialog = details.get(location.hash.slice(1 + DETAIL.length));
    root.classList.toggle('in-detail', dialog !== undefined);
    for (const other of details.values()) {
      if (other !== dialog && other.open) {
        other.close();
      }
    }
    if (!dialog || dialog.open) {
      return;
    }
    pointAt('');
    dialog.showModal();
    dialog.scrollTop = 0;
    const unread = dialog.querySelector('noscript');
    if (unread) {
      unread.outerHTML = unread.textContent;
      setUp(dialog);
    }
    visibleViews().filter(({section}) => dialog.contains(section)).forEach((view) => view.paint());
  }

  function leaveDetail(dialog) {
    if (location.hash !== `#${dialog.id}`) {
      return;
    }
    if (isOpenedHere) {
      history.back();
    } else {
      history.replaceState(null, '', location.href.split('#')[0]);
      showDetail();
    }
  }

  for (const dialog of details.values()) {
    dialog.querySelector('.close').addEventListener('click', () => dialog.close());
    dialog.addEventListener('close', () => leaveDetail(dialog));
    dialog.addEventListener('click', (event) => {
      const {left, right, top, bottom} = dialog.getBoundingClientRect();
      const [x, y] = [event.clientX, event.clientY];
      if (event.target === dialog && (x < left || x > right || y < top || y > bottom)) {
        dialog.close();  // a click beside it
      }
    });
  }

  addEventListener('hashchange', (event) => {
    isOpenedHere = !event.oldURL.includes(`#${DETAIL}`);
    showDetail();
  });
  showDetail();

  // Those in closed details are painted when they open.
  function visibleViews() {
    return views.filter(({section}) => section.closest('dialog')?.open ?? true);
  }

  dark.addEventListener('change', () => visibleViews().forEach((view) => view.paint()));

  // The page, or the open detail instead of it.
  function printedViews() {
    const dialog = document.querySelector('dialog[open]');
    return views.filter(({section}) => section.closest('dialog') === dialog);
  }

  // Paper is white, narrower than a screen, and finer.
  addEventListener('beforeprint', () => {
    root.classList.add('printing');
    for (const view of printedViews()) {
      view.beforePrint();
      view.paint();
    }
  });
  addEventListener('afterprint', () => {
    root.classList.remove('printing');
    for (const view of printedViews()) {
      view.afterPrint();
      view.paint();
    }
  });
})();
