//! What is wrong with a workflow is said before anything runs: where, and what to do.

use super::support::Project;

/// What the file says, and what must stand in the error.
const CASES: &[(&str, &[&str])] = &[
    (
        "stages:\n  a:\n    uses: command\n    wiht: { run: x }\n",
        &["no key `wiht`", "sulcus.yaml:4:5", "did you mean `with`?"],
    ),
    (
        "stages:\n  a:\n    uses: comand\n    with: { run: x }\n",
        &["no kind `comand`", "sulcus.yaml:3:11", "did you mean `command`?"],
    ),
    (
        "stages:\n  a:\n    uses: command\n    with: { run: x, rads: y }\n",
        &["no parameter `rads`", "sulcus.yaml:4:21", "did you mean `reads`?"],
    ),
    ("stages:\n  a:\n    uses: command\n    with: { run: 3 }\n", &["`run`", "sulcus.yaml:4:18"]),
    (
        "stages:\n  a:\n    uses: command\n    with: { run: x, reads: b, writes: a }\n  b:\n    uses: command\n    with: { run: x, reads: a, writes: b }\n",
        &["form a cycle", "a → b"],
    ),
    (
        "stages:\n  a:\n    uses: command\n    with: { run: x }\n  a:\n    uses: command\n    with: { run: y }\n",
        &["the key `a` stands twice", "sulcus.yaml:5:3"],
    ),
    (
        "stages:\n  a:\n    uses: command\n    with: { run: x, writes: o }\n  b:\n    uses: command\n    with: { run: x, writes: o/p }\n",
        &["is written by the stage `a` too", "sulcus.yaml:7:29"],
    ),
    (
        "stages:\n  a:\n    uses: command\n    with: { run: x, reads: ../../etc/passwd }\n",
        &["leaves the project", "sulcus.yaml:4:28"],
    ),
    (
        "stages:\n  a:\n    uses: command\n    with: { run: x, writes: /etc/x }\n",
        &["is absolute", "sulcus.yaml:4:29"],
    ),
    (
        "stages:\n  a:\n    uses: command\n    with: { run: x, writes: .git/hooks/post-commit }\n",
        &["may not be written", "sulcus.yaml:4:29"],
    ),
    (
        "stages:\n  a:\n    uses: command\n    with: { run: x, reads: none.txt }\n",
        &["`none.txt` does not exist", "sulcus.yaml:4:28"],
    ),
    (
        "params: { rate: 1 }\nstages:\n  a:\n    uses: command\n    with: { run: \"echo ${params.rte}\" }\n",
        &["unknown parameter `rte`", "sulcus.yaml:5:18", "did you mean `rate`?"],
    ),
    (
        "stages:\n  a:\n    uses: command\n    needs: [bb]\n    with: { run: x }\n  b:\n    uses: command\n    with: { run: x }\n",
        &["no stage `bb`", "did you mean `b`?"],
    ),
    ("stages: !!python/object:os.system\n  a: 1\n", &["unsupported tag"]),
    ("", &["no stages"]),
];

#[test]
fn every_mistake_has_a_place_and_a_hint() {
    for (text, wanted) in CASES {
        let project = Project::new(text);
        let ran = project.sulcus(&["run"]);
        assert_eq!(ran.code, 2, "{text}\n{}", ran.text());
        for part in *wanted {
            assert!(ran.stderr.contains(part), "`{part}` is missing for\n{text}\n{}", ran.stderr);
        }
        assert!(!ran.stderr.contains("panicked"), "{}", ran.stderr);
    }
}

#[test]
fn all_mistakes_are_said_at_once() {
    let project = Project::new(
        "stages:\n  a:\n    uses: comand\n  b:\n    uses: command\n    with: { run: x, rads: y }\n  c:\n    uses: command\n    with: { run: x, wites: y }\n",
    );
    let ran = project.sulcus(&["check"]);
    assert_eq!(ran.code, 2);
    for part in ["comand", "rads", "wites"] {
        assert!(ran.stderr.contains(part), "{}", ran.stderr);
    }
}

#[test]
fn hostile_files_are_refused_fast() {
    let mut bomb = String::from("x0: &x0 [a, a, a, a, a, a, a, a, a]\n");
    for i in 1..12 {
        let items = vec![format!("*x{}", i - 1); 9].join(", ");
        bomb.push_str(&format!("x{i}: &x{i} [{items}]\n"));
    }
    bomb.push_str("stages: *x11\n");
    let cases: Vec<Vec<u8>> = vec![
        bomb.into_bytes(),
        vec![b'a'; 10 << 20],
        "[".repeat(200_000).into_bytes(),
        "- ".repeat(100_000).into_bytes(),
        b"stages:\n  a: { uses: command, with: { run: \"\xff\" } }\n".to_vec(),
        b"stages:\0\n".to_vec(),
        b"stages: *nowhere\n".to_vec(),
    ];
    for bytes in cases {
        let project = Project::with(&[]);
        std::fs::write(project.path("sulcus.yaml"), &bytes).expect("the file can be written");
        let begun = std::time::Instant::now();
        let ran = project.sulcus(&["run"]);
        let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(60)]).into_owned();
        assert_eq!(ran.code, 2, "{shown}\n{}", ran.text());
        assert!(ran.stderr.contains("sulcus.yaml:") && !ran.stderr.contains("panicked"), "{}", ran.stderr);
        assert!(begun.elapsed().as_secs() < 10, "{shown} took {:?}", begun.elapsed());
        assert!(ran.stderr.len() < 2_000, "{}", ran.stderr);
    }
}

#[test]
fn a_link_does_not_lead_out_of_the_project() {
    let project = Project::new("stages:\n  a:\n    uses: command\n    with: { run: x, reads: link.txt }\n");
    std::os::unix::fs::symlink("/etc/hostname", project.path("link.txt")).expect("a link can be made");
    let ran = project.sulcus(&["run"]);
    assert_eq!(ran.code, 2, "{}", ran.text());
    assert!(ran.stderr.contains("leads out of the project"), "{}", ran.stderr);

    let project =
        Project::new("stages:\n  a:\n    uses: command\n    with: { run: 'true', writes: out/x }\n");
    std::os::unix::fs::symlink(std::env::temp_dir(), project.path("out")).expect("a link can be made");
    let ran = project.sulcus(&["run"]);
    assert_eq!(ran.code, 1, "{}", ran.text());
    assert!(ran.stderr.contains("links are not followed"), "{}", ran.stderr);
}
