//! What a gateway takes and what it refuses.

use super::*;
use proptest::prelude::*;

fn parse(text: &str) -> Result<Manifest, ManifestError> {
    super::parse(&[Source::whole(text.to_owned())])
}

fn stream(manifest: &Manifest) -> String {
    manifest.streams().map(|(_, stream)| stream).collect()
}

const GOOD: &str = "\
apiVersion: v1
kind: Namespace
metadata: {name: jet-system}
---
# a comment only
---
apiVersion: v1
kind: ConfigMap
metadata: {name: overlord-config, namespace: jet-system}
data:
  overlord-config.yaml: |
    overlordUid: 64a0c0ffee
---
apiVersion: v1
kind: Secret
metadata: {name: hubble-secrets, namespace: jet-system}
stringData: {token: very-secret}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: jet, namespace: jet-system}
spec:
  template:
    spec:
      volumes: [{name: c, configMap: {name: x, defaultMode: 0644}}]
";

#[test]
fn takes_what_palette_sends() {
    let manifest = parse(GOOD).unwrap();
    assert_eq!(manifest.len(), 4);
    assert_eq!(manifest.overlord_uid.as_deref(), Some("64a0c0ffee"));
    assert_eq!(manifest.sha256.len(), 64);
    assert!(manifest.secrets().contains("very-secret"));
    assert!(!format!("{manifest:?}").contains("very-secret"));
    assert!(
        stream(&manifest).contains(r#""defaultMode":420"#),
        "octal as kubectl reads it"
    );
}

#[test]
fn what_is_applied_is_what_was_checked() {
    let manifest = parse(GOOD).unwrap();
    let again = parse(&stream(&manifest)).unwrap();
    assert!(again.objects().eq(manifest.objects()));
}

fn object(version: &str, kind: &str, metadata: &str) -> String {
    format!("apiVersion: {version}\nkind: {kind}\nmetadata: {metadata}\n")
}

#[test]
fn refuses_what_is_not_for_a_gateway() {
    let cases = [
            (object("v1", "Pod", "{name: x, namespace: jet-system}"), "kind Pod"),
            (object("v1", "ConfigMap", "{name: x}"), "namespace default"),
            (object("v1", "Secret", "{name: x, namespace: kube-system}"), "kube-system"),
            (object("v1", "Namespace", "{name: kube-system}"), "kube-system"),
            (object("v1", "Namespace", "{name: cluster-xyz}"), "cluster-xyz"),
            (object("v1", "Namespace", "{name: spectro-}"), "spectro-"),
            (object("helm.cattle.io/v1", "HelmChart", "{name: x, namespace: jet-system}"), "HelmChart"),
            (object("evilspectrocloud.com/v1", "X", "{name: x}"), "evilspectrocloud.com"),
            (object("v1", "ConfigMap", "{namespace: jet-system}"), "metadata.name"),
            ("kind: Namespace\n".to_owned(), "apiVersion"),
            ("- a\n- b\n".to_owned(), "apiVersion"),
            ("just text\n".to_owned(), "apiVersion"),
            (
                "apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: Pod, metadata: {name: hidden}}\n".to_owned(),
                "hidden",
            ),
        ];
    for (text, expected) in cases {
        let error = parse(&text).unwrap_err().to_string();
        assert!(error.contains(expected), "{text}\n{error}");
    }
}

#[test]
fn all_refusals_are_told_at_once() {
    let pod = object("v1", "Pod", "{name: x}");
    let Err(ManifestError::Refused(all)) = parse(&format!("{pod}---\n{GOOD}---\n{pod}")) else {
        panic!("two pods were taken");
    };
    assert_eq!(all.len(), 2);
    assert!(all[1].starts_with("object 6,"), "{all:?}");
}

#[test]
fn allows_custom_resources_of_palette() {
    for (version, metadata) in [
        (
            "cluster.spectrocloud.com/v1alpha1",
            "{name: x, namespace: cluster-64a0c0ffee}",
        ),
        (
            "infrastructure.cluster.x-k8s.io/v1beta1",
            "{name: x, namespace: capi-system}",
        ),
        ("jet.spectrocloud.com/v1", "{name: x}"),
    ] {
        parse(&object(version, "Anything", metadata)).unwrap();
    }
    let definition = |group: &str| {
        let head = object(
            "apiextensions.k8s.io/v1",
            "CustomResourceDefinition",
            "{name: x}",
        );
        format!("{head}spec: {{group: {group}}}\n")
    };
    parse(&definition("cluster.spectrocloud.com")).unwrap();
    parse(&definition("helm.cattle.io")).unwrap_err();
}

#[test]
fn no_content_in_errors() {
    let broken = "kind: Secret\nstringData: {token: very-secret\n  ] }";
    let error = parse(broken).unwrap_err();
    assert!(
        matches!(error, ManifestError::NotYaml(Some(_))),
        "{error:?}"
    );
    assert!(!format!("{error} {error:?}").contains("very-secret"));
    assert_eq!(parse("---\n# nothing\n").unwrap_err(), ManifestError::Empty);
    assert!(matches!(
        parse(&" ".repeat(CAP + 1)),
        Err(ManifestError::TooLarge(_))
    ));
}

#[test]
fn an_alias_bomb_is_refused() {
    let mut bomb = "a: &a [x,x,x,x,x,x,x,x,x,x]\n".to_owned();
    for (from, to) in ["ab", "bc", "cd", "de", "ef", "fg", "gh", "hi"]
        .iter()
        .map(|p| p.split_at(1))
    {
        let ten = vec![format!("*{from}"); 10].join(",");
        bomb.push_str(&format!("{to}: &{to} [{ten}]\n"));
    }
    assert!(matches!(parse(&bomb), Err(ManifestError::NotYaml(_))));
}

proptest! {
    #[test]
    fn never_panics(text in "[ -~\n]{0,400}") {
        let _ = parse(&text);
    }
}

#[test]
fn a_namespace_given_beside_a_stream_is_for_objects_that_name_none() {
    let nameless = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: cluster-info}\n";
    let source = |namespace: Option<&str>| Source {
        text: nameless.to_owned(),
        namespace: namespace.map(str::to_owned),
    };
    let jet = Source::whole(GOOD.to_owned());
    let both = super::parse(&[jet.clone(), source(Some("cluster-0a1b2c"))]).unwrap();
    let streams: Vec<_> = both.streams().collect();
    assert_eq!((streams[0].0, streams[1].0), (None, Some("cluster-0a1b2c")));
    assert_eq!(both.len(), 5);
    for foreign in [None, Some("kube-system")] {
        let error = super::parse(&[jet.clone(), source(foreign)]).unwrap_err();
        assert!(
            error
                .to_string()
                .contains("object 5, ConfigMap cluster-info"),
            "{error}"
        );
    }
    let one = super::parse(&[source(Some("cluster-0a"))]).unwrap();
    let other = super::parse(&[source(Some("cluster-0b"))]).unwrap();
    assert_ne!(
        one.sha256, other.sha256,
        "where it goes is part of what it is"
    );
}
