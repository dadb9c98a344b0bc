// Replace the form on /sparql by the editor YASGUI, configured to contact only this service: endpoint, prefixes, terms.
"use strict";

(() => {
  const container = document.getElementById("editor");
  const form = document.getElementById("query-form");
  const text = document.getElementById("query");
  if (!container || !window.Yasgui) return;

  const Yasgui = window.Yasgui.default ?? window.Yasgui;
  const translations = JSON.parse(container.dataset.words);
  const language = document.documentElement.lang;
  const endpoint = new URL(container.dataset.endpoint, location.href).href;
  const translated = (text) => translations[text] ?? text;

  // ---- completion from the terms of this service, instead of the other hosts that Yasqe asks by default

  const loadedTerms = fetch(container.dataset.terms).then((response) => response.json());
  let prefixes = {};
  loadedTerms.then((terms) => { prefixes = terms.prefixes; });

  const prefixedName = (iri) => {
    const [name, namespace] = Object.entries(prefixes).find(([, start]) => iri.startsWith(start)) ?? [];
    const local = name && iri.slice(namespace.length);
    return local && /^[A-Za-z][\w-]*$/.test(local) ? `${name}:${local}` : `<${iri}>`;
  };

  function complete(name, kind) {
    let labels = {};
    const { preProcessToken } = Yasgui.Yasqe.Autocompleters[name];
    Yasgui.Yasqe.forkAutocompleter(name, {
      name,
      bulk: true,
      get: () => loadedTerms.then((terms) => { labels = terms[kind]; return Object.keys(labels); }),
      preProcessToken: (editor, token) => {
        const isBlank = token.string.trim() === ""; // white space stays; the term is inserted after it
        const { line, ch } = editor.getDoc().getCursor();
        return preProcessToken(editor, isBlank ? { ...token, from: { line, ch }, to: { line, ch } } : token);
      },
      postProcessSuggestion: (_editor, _token, iri) => prefixedName(iri),
      postprocessHints: (_editor, hints) => hints.map((hint) => {
        const iri = Object.keys(labels).find((term) => prefixedName(term) === hint.text);
        const label = iri && labels[iri][language];
        return label ? { ...hint, displayText: `${hint.text} – ${label}` } : hint;
      }).sort((one, other) => other.text.startsWith("hpez:") - one.text.startsWith("hpez:")),
    });
  }

  complete("class", "classes");
  complete("property", "properties");
  Yasgui.Yasqe.forkAutocompleter("prefixes", {
    name: "prefixes",
    persistenceId: null,
    get: () => loadedTerms.then((terms) => Object.entries(terms.prefixes).map(([name, iri]) => `${name}: <${iri}>`)),
  });

  // ---- a bar chart for results with a column of labels and a column of numbers

  class Chart {
    constructor(yasr) { this.yasr = yasr; this.label = "Chart"; this.priority = 1; }

    columns() {
      const rows = this.yasr.results?.getBindings() ?? [];
      const isNumber = (cell) => cell && cell.type === "literal" && cell.datatype && Number.isFinite(Number(cell.value));
      const names = this.yasr.results?.getVariables() ?? [];
      const numbers = names.filter((name) => rows.length && rows.every((row) => isNumber(row[name])));
      const labels = names.filter((name) => rows.some((row) => row[name]?.type === "literal" && !isNumber(row[name])));
      return { rows, label: labels[0], number: numbers[0] };
    }

    canHandleResults() {
      const { rows, label, number } = this.columns();
      const isSmall = rows.length > 0 && rows.length <= 60;
      return isSmall && !!label && !!number && rows.every((row) => Number(row[number].value) >= 0);
    }

    draw() {
      const { rows, label, number } = this.columns();
      const most = Math.max(...rows.map((row) => Number(row[number].value))) || 1;
      const table = document.createElement("table");
      table.className = "bars";
      table.createCaption().textContent = `${label} – ${number}`;
      for (const row of rows) this.addBar(table, row[label]?.value ?? "", Number(row[number].value), most);
      this.yasr.resultsEl.append(table);
    }

    addBar(table, name, value, most) {
      const tableRow = table.insertRow();
      const head = document.createElement("th");
      head.scope = "row";
      head.textContent = name;
      const picture = document.createElementNS("http://www.w3.org/2000/svg", "svg");
      picture.setAttribute("aria-hidden", "true");
      const shape = document.createElementNS("http://www.w3.org/2000/svg", "rect");
      shape.setAttribute("width", `${(100 * value) / most}%`);
      shape.setAttribute("height", "100%");
      picture.append(shape);
      tableRow.append(head);
      tableRow.insertCell().append(picture);
      const numberCell = tableRow.insertCell();
      numberCell.className = "number";
      numberCell.textContent = value.toLocaleString(language);
    }
  }
  Yasgui.Yasr.registerPlugin("chart", Chart);

  // ---- errors: show the title and detail of the service's problem details (RFC 9457)

  Yasgui.Yasr.defaults.errorRenderers = [async (error) => {
    let problem;
    try { problem = JSON.parse(error.text); } catch { return undefined; }
    if (!problem?.title) return undefined;
    const message = document.createElement("div");
    for (const line of [problem.title, problem.detail]) message.append(Object.assign(document.createElement("p"), { textContent: line ?? "" }));
    return message;
  }];

  // ---- accessible names and roles that YASGUI's markup lacks, and translations of its texts

  const NAMES = [
    [".CodeMirror textarea", "Query text"],
    [".tab input", "Name of the tab"],
    [".yasqe_sharePopup input", "Link to this query"],
    [".tableSizer", "Rows per page"],
    [".tabsList", "Queries"],
  ];

  function addNames(root) {
    for (const [selector, label] of NAMES) {
      for (const node of root.querySelectorAll(selector)) set(node, "aria-label", translated(label));
    }
    for (const node of root.querySelectorAll(".yasr_results")) {
      describe(node, "region", "Results");
      set(node, "tabindex", "0"); // lets the keyboard scroll wide results
    }
    for (const node of root.querySelectorAll(".tabsList")) fixTabRoles(node);
    for (const head of root.querySelectorAll("table.dataTable th:empty, table.dataTable th:first-child .dt-column-title:empty")) {
      head.textContent = translated("Number");
    }
  }

  // WAI-ARIA allows only tabs in a tablist; YASGUI's list also contains a button and a menu.
  function fixTabRoles(list) {
    set(list, "role", "group");
    for (const tab of list.querySelectorAll(":scope > .tab")) set(tab, "role", "tablist");
  }

  function describe(node, role, label) {
    set(node, "role", role);
    set(node, "aria-label", translated(label));
  }

  function set(node, attribute, value) {
    if (node.getAttribute(attribute) !== value) node.setAttribute(attribute, value);
  }

  function translate(root) {
    for (const node of root.querySelectorAll("[title], [aria-label], [placeholder]")) {
      for (const attribute of ["title", "aria-label", "placeholder"]) {
        const text = translations[node.getAttribute(attribute)];
        if (text) set(node, attribute, text);
      }
    }
    const chrome = ".notification, .yasr_header span, .yasr_header option, .context-menu *, .yasr_results td.dt-empty";
    for (const node of root.querySelectorAll(chrome)) {
      const text = node.children.length === 0 && translations[node.textContent];
      if (text && text !== node.textContent) node.textContent = text;
    }
    for (const node of root.querySelectorAll(".yasr_response_chip")) translateCount(node);
  }

  function translateCount(node) {
    set(node, "role", "status");
    const match = /^(?:([0-9]+) results?|Response) in ([0-9.]+) seconds?$/.exec(node.textContent);
    const template = match?.[1] ? "{rows} results in {seconds} seconds" : "Response in {seconds} seconds";
    const text = match && translated(template).replace("{rows}", match[1]).replace("{seconds}", match[2]);
    if (text && text !== node.textContent) node.textContent = text;
  }

  // Let links to the project's IRIs open the pages of this service.
  function linkToLocalPages(root) {
    for (const link of root.querySelectorAll(`a[href^="${CSS.escape(container.dataset.base)}"]`)) {
      link.href = new URL(link.getAttribute("href").slice(container.dataset.base.length), new URL(".", endpoint)).href;
    }
  }

  const adapt = () => { addNames(container); translate(container); linkToLocalPages(container); };
  new MutationObserver(adapt).observe(container, { childList: true, subtree: true, characterData: true });

  // The table plugin adds a style element for resize handles, which are hidden here. The Content-Security-Policy forbids
  // style elements; the plugin skips it if the page already has an element with this name and `gripid`.
  const placeholder = document.createElementNS("urn:x-hpkg", "style");
  placeholder.gripid = "573462389";
  document.head.append(placeholder);

  // ---- the editor

  Yasgui.Yasr.defaults.plugins.table.dynamicConfig = { compact: true, isEllipsed: false };
  const config = {
    autofocus: false,
    autoAddOnInit: false,
    tabName: translated("Query"),
    copyEndpointOnNewTab: false,
    endpointCatalogueOptions: { getData: () => [], keys: [], renderItem: () => {} },
    requestConfig: { endpoint: () => endpoint, method: "POST" },
    yasqe: {
      value: text.value,
      prefixCcApi: null,
      editorHeight: "auto", // no scrolling region within the page
      viewportMargin: Infinity,
      resizeable: false,
      extraKeys: { Tab: false, "Shift-Tab": false }, // Tab moves the focus instead of indenting
    },
    yasr: { pluginOrder: ["table", "chart", "response"], prefixes: () => prefixes },
  };

  function open(yasgui, title, query) {
    const isSame = (tab) => tab.getName() === title && tab.getPersistedJson().yasqe.value === query;
    const tab = Object.values(yasgui._tabs).find(isSame) ?? yasgui.addTab(true, { name: yasgui.createTabName(title), yasqe: { value: query } });
    yasgui.selectTabId(tab.getId());
    tab.query().catch(() => {});
  }

  container.before(document.getElementById("editor-keys"));
  const yasgui = new Yasgui(container, config);
  const runsAtOnce = container.dataset.run === "yes";
  if (!yasgui.getTab()) yasgui.addTab(true, { name: runsAtOnce ? container.dataset.title : translated("Query"), yasqe: { value: text.value } });
  form.hidden = true;
  document.getElementById("editor-keys").hidden = false;
  adapt();
  if (runsAtOnce) open(yasgui, container.dataset.title, text.value);
  for (const link of document.querySelectorAll("a.example")) {
    link.addEventListener("click", (event) => {
      if (event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
      event.preventDefault();
      open(yasgui, link.textContent.trim(), new URL(link.href).searchParams.get("query"));
      container.scrollIntoView();
    });
  }
})();
