//! Peer connections. They live on the main thread (workers have none); their data channels move to the session worker at once.
//!
//! Channels are negotiated out of band with fixed ids, so both ends create them before the first offer. All candidates are gathered
//! before a description is handed out: one message each way suffices.

use std::{cell::RefCell, rc::Rc};

use door::{DoorError, Fingerprint, Fingerprints};
use futures::{
    FutureExt,
    channel::oneshot,
    future::{Either, select},
};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::{
    RtcDataChannel, RtcDataChannelInit, RtcDataChannelType, RtcIceGatheringState,
    RtcPeerConnection, RtcPeerConnectionState, RtcSdpType, RtcSessionDescription,
    RtcSessionDescriptionInit,
};

use crate::{
    clock::sleep,
    error::{BrowserError, words},
};

/// Data channel id of the control channel.
const CONTROL_ID: u16 = 1;
/// Data channel id of the activation channel.
const ACTIVATION_ID: u16 = 2;
/// Data channel id of the weights channel.
const WEIGHTS_ID: u16 = 3;
/// Candidates that take longer to gather are left out: on a local network the useful ones come at once.
const GATHERING_MS: f64 = 3000.0;

/// The channels of a connection, not yet open.
pub struct Channels {
    /// Membership, plans, heartbeats.
    pub control: RtcDataChannel,
    /// Hidden states.
    pub activation: RtcDataChannel,
    /// Pieces of the model, behind everything else.
    pub weights: RtcDataChannel,
}

/// A connection to one member; dropping it closes it.
pub struct Connection {
    peer: RtcPeerConnection,
    /// Until the other end described itself: it may not do so again, as another description would name another certificate.
    described: RefCell<Option<oneshot::Sender<()>>>,
    /// Until somebody waits for that description.
    description: RefCell<Option<oneshot::Receiver<()>>>,
    _on_state: Closure<dyn FnMut()>,
}

impl Connection {
    /// Creates a connection and its channels. `on_failed` is told, once, that it will never work or works no more.
    ///
    /// # Errors
    /// No WebRTC in this browser.
    pub fn new(on_failed: impl FnOnce() + 'static) -> Result<(Self, Channels), BrowserError> {
        let peer = RtcPeerConnection::new().map_err(|_| BrowserError::NoWebRtc)?;
        let channels = Channels {
            control: channel(&peer, "control", CONTROL_ID, Priority::Low),
            activation: channel(&peer, "activation", ACTIVATION_ID, Priority::Low),
            weights: channel(&peer, "weights", WEIGHTS_ID, Priority::VeryLow),
        };
        let on_state = {
            let peer = peer.clone();
            let on_failed = RefCell::new(Some(on_failed));
            Closure::<dyn FnMut()>::new(move || {
                if peer.connection_state() == RtcPeerConnectionState::Failed
                    && let Some(on_failed) = on_failed.take()
                {
                    on_failed();
                }
            })
        };
        let (described, description) = oneshot::channel();
        peer.set_onconnectionstatechange(Some(on_state.as_ref().unchecked_ref()));
        Ok((
            Self {
                peer,
                described: RefCell::new(Some(described)),
                description: RefCell::new(Some(description)),
                _on_state: on_state,
            },
            channels,
        ))
    }

    /// Our offer, with all candidates.
    pub async fn offer(&self) -> Result<String, BrowserError> {
        let offer = resolve(self.peer.create_offer()).await?;
        self.describe(offer).await
    }

    /// Our answer to an offer, with all candidates.
    pub async fn answer(&self, offer: &str) -> Result<String, BrowserError> {
        self.set_remote(RtcSdpType::Offer, offer).await?;
        let answer = resolve(self.peer.create_answer()).await?;
        self.describe(answer).await
    }

    /// Takes the answer to our offer.
    pub async fn accept(&self, answer: &str) -> Result<(), BrowserError> {
        self.set_remote(RtcSdpType::Answer, answer).await
    }

    /// Fingerprints of both certificates, once the channels are open. Once for each connection.
    ///
    /// # Errors
    /// The browser shows neither certificate nor exactly one fingerprint of an end.
    pub async fn fingerprints(&self) -> Result<Fingerprints, DoorError> {
        // Channels in a worker may open before this thread hears that the description was applied.
        let description = self.description.take().ok_or(DoorError::NoCertificate)?;
        description.await.map_err(|_| DoorError::NoCertificate)?;
        let sdp = |description: Option<RtcSessionDescription>| {
            description
                .map(|description| description.sdp())
                .ok_or(DoorError::NoCertificate)
        };
        let theirs = sdp(self.peer.remote_description())?;
        Ok(Fingerprints {
            mine: Fingerprint::of_sdp(&sdp(self.peer.local_description())?)?,
            theirs: Fingerprint::of_other_end(&self.remote_certificates(), &theirs)?,
        })
    }

    /// Certificates the other end used, DER, first its own; none in browsers that do not show them.
    fn remote_certificates(&self) -> Vec<Vec<u8>> {
        let shown = || {
            let sctp = property(&self.peer, "sctp")?;
            let transport = property(&sctp, "transport")?;
            let show: js_sys::Function = property(&transport, "getRemoteCertificates")?
                .dyn_into()
                .ok()?;
            let certificates = show.call0(&transport).ok()?;
            certificates.dyn_into::<js_sys::Array>().ok()
        };
        let certificates = shown().into_iter().flat_map(|shown| shown.to_vec());
        let buffers = certificates.filter_map(|der| der.dyn_into::<js_sys::ArrayBuffer>().ok());
        buffers
            .map(|der| js_sys::Uint8Array::new(&der).to_vec())
            .collect()
    }

    async fn set_remote(&self, kind: RtcSdpType, sdp: &str) -> Result<(), BrowserError> {
        let described = self
            .described
            .take()
            .ok_or_else(|| BrowserError::Connection {
                detail: "the other phone described itself twice".to_owned(),
            })?;
        let description = RtcSessionDescriptionInit::new(kind);
        description.set_sdp(sdp);
        resolve(self.peer.set_remote_description(&description)).await?;
        // Nobody waits where the channels never open.
        let _ = described.send(());
        Ok(())
    }

    async fn describe(&self, description: JsValue) -> Result<String, BrowserError> {
        resolve(self.peer.set_local_description(description.unchecked_ref())).await?;
        self.gather().await;
        let description =
            self.peer
                .local_description()
                .ok_or_else(|| BrowserError::Connection {
                    detail: "no local description".to_owned(),
                })?;
        Ok(description.sdp())
    }

    async fn gather(&self) {
        let (done, gathered) = oneshot::channel();
        let done = Rc::new(RefCell::new(Some(done)));
        let on_gathering = {
            let peer = self.peer.clone();
            Closure::<dyn FnMut()>::new(move || {
                if peer.ice_gathering_state() == RtcIceGatheringState::Complete
                    && let Some(done) = done.take()
                {
                    let _ = done.send(());
                }
            })
        };
        self.peer
            .set_onicegatheringstatechange(Some(on_gathering.as_ref().unchecked_ref()));
        if self.peer.ice_gathering_state() != RtcIceGatheringState::Complete {
            match select(gathered, sleep(GATHERING_MS).boxed_local()).await {
                Either::Left(_) | Either::Right(_) => {}
            }
        }
        self.peer.set_onicegatheringstatechange(None);
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.peer.set_onconnectionstatechange(None);
        self.peer.close();
    }
}

/// `RTCPriorityType`; browsers that know none treat channels alike, in turns.
#[derive(Clone, Copy)]
enum Priority {
    /// What channels have by default.
    Low,
    VeryLow,
}

fn channel(peer: &RtcPeerConnection, label: &str, id: u16, priority: Priority) -> RtcDataChannel {
    let init = RtcDataChannelInit::new();
    if let Priority::VeryLow = priority {
        // Not in web-sys; setting a field of a plain object does not fail.
        let _ = js_sys::Reflect::set(&init, &"priority".into(), &"very-low".into());
    }
    init.set_negotiated(true);
    init.set_id(id);
    init.set_ordered(true);
    let channel = peer.create_data_channel_with_data_channel_dict(label, &init);
    channel.set_binary_type(RtcDataChannelType::Arraybuffer);
    channel
}

fn property(object: &JsValue, key: &str) -> Option<JsValue> {
    let value = js_sys::Reflect::get(object, &JsValue::from_str(key)).ok()?;
    (!value.is_undefined() && !value.is_null()).then_some(value)
}

async fn resolve(promise: js_sys::Promise) -> Result<JsValue, BrowserError> {
    JsFuture::from(promise)
        .await
        .map_err(|thrown| BrowserError::Connection {
            detail: words(&thrown),
        })
}
